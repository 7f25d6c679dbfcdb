package freebusy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGist(t *testing.T) {
	const head = "contoso: Test-OAuthConnectivity: Error: "
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"short stays", "one\ntwo\nthree", "one\ntwo\nthree"},
		{
			"refused", head + "The configuration was last successfully loaded at 01/01/0001 00:00:00 UTC.\r\nThe " +
				"token cache is being cleared because \"use cached token\" was set to false.\r\n" +
				"Exchange Outbound Oauth Log:\r\nToken: 0 bytes\r\nExchange Response Details:\r\nHTTP response " +
				"message:\r\nthe request failed with HTTP status 403: Forbidden.\r\n",
			head + "the request failed with HTTP status 403: Forbidden.",
		},
		{
			"an exception with its stack", head +
				"The configuration was last successfully loaded at 11/22/2026 07:12:32 " +
				"UTC.\nInformation:[OAuthCredentials:Authenticate] entering\n" +
				"System.Net.WebException: The remote server returned an error: (401) Unauthorized.\n   at " +
				"System.Net.HttpWebRequest.GetResponse()\n",
			head + "System.Net.WebException: The remote server returned an error: (401) Unauthorized.",
		},
		{"nothing that tells", "a\nb\nc:\nd", "d"},
		{"many: the first and the last", "error 1\nerror 2\nerror 3\nerror 4\nerror 5", "error 1\nerror 4\nerror 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Answer{Error: test.in}.Gist()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
