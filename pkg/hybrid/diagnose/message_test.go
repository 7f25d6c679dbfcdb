package diagnose

import (
	"strings"
	"testing"
)

const hybridHops = `Received: from DB9PR01.eurprd01.prod.outlook.com (2603::1) by AM0PR01.eurprd01.prod.outlook.com (2603::2)
 with Microsoft SMTP Server (version=TLS1_2) id 15.20.1; Thu, 26 Nov 2026 10:00:04 +0000
Received: from mail.contoso.com (203.0.113.9) by DB1EUR02FT012.mail.protection.outlook.com (10.13.1.2)
 with Microsoft SMTP Server (version=TLS1_2) id 15.20; Thu, 26 Nov 2026 10:00:03 +0000
Received: from EX1.contoso.com (10.0.0.4) by EX1.contoso.com (10.0.0.4)
 with Microsoft SMTP Server id 15.2.2562.53; Thu, 26 Nov 2026 10:00:01 +0000
`

const internetHops = `Received: from mx.example.net (203.0.113.77) by DB1EUR02FT012.mail.protection.outlook.com (10.13.1.2)
 with Microsoft SMTP Server (version=TLS1_2) id 15.20; Thu, 26 Nov 2026 10:00:03 +0000
Received: from laptop by mx.example.net with ESMTPSA id 1234; Thu, 26 Nov 2026 10:00:01 +0000
`

const (
	anonymous  = "X-MS-Exchange-Organization-AuthAs: Anonymous\n"
	authorized = "X-MS-Exchange-Organization-AuthAs: Internal\n"
	attributed = "X-EOPTenantAttributedMessage: 11111111-1111-1111-1111-111111111111:0\n"
	ours       = "X-MS-Exchange-CrossTenant-Id: 11111111-1111-1111-1111-111111111111\n"
	theirs     = "X-MS-Exchange-CrossTenant-Id: 22222222-1111-1111-1111-111111111111\n"
)

func TestMessage(t *testing.T) {
	const entry = "mail.contoso.com -> DB1EUR02FT012.mail.protection.outlook.com"
	for _, test := range []struct {
		name, headers   string
		verdict, lostAt string
		hops            int
		want            []ID
	}{
		{"internal", hybridHops + authorized + attributed + ours, internal, "", 3, nil},
		{"anonymous on the hybrid hop", hybridHops + anonymous, external, entry, 3, []ID{"mail.headers-external"}},
		{"from the internet", internetHops + anonymous, external, "", 2, nil},
		{
			"filtered", hybridHops + anonymous + "X-CrossPremisesHeadersFilteredBySendConnector: edge1.contoso.com\n",
			external, "edge1.contoso.com", 3, []ID{"mail.headers-not-sent"},
		},
		{
			"attributed to another tenant", hybridHops + anonymous + attributed + theirs, external, entry, 3,
			[]ID{"mail.attributed-elsewhere", "mail.headers-external"},
		},
		{"between two tenants", internetHops + anonymous + attributed + theirs, external, "", 2, nil},
		{
			"trusted from everywhere",
			internetHops + authorized + "X-MS-Exchange-Organization-AuthMechanism: 10\n", internal, "", 2,
			[]ID{"mail.external-authoritative"},
		},
		{"no verdict", hybridHops, undecided, "", 3, nil},
		{
			"within other lines", "See below.\r\n\r\n" + strings.ReplaceAll(hybridHops+anonymous, "\n", "\r\n") +
				"\r\nRegards",
			external, entry, 3, []ID{"mail.headers-external"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := Explain(test.headers, true)
			if e.Message == nil {
				t.Fatal("no headers were found")
			}
			m := e.Message
			if m.Verdict != test.verdict || m.LostAt != test.lostAt || len(m.Hops) != test.hops {
				t.Errorf("%+v", *m)
			}
			if len(e.Diagnoses) != len(test.want) {
				t.Fatalf("%+v, want %v", e.Diagnoses, test.want)
			}
			for i, d := range e.Diagnoses {
				if d.ID != test.want[i] {
					t.Errorf("%s, want %s", d.ID, test.want[i])
				}
			}
		})
	}
	if e := Explain("Subject: lunch\nTo: all\n", true); e.Message != nil {
		t.Errorf("%+v", *e.Message)
	}
}

// TestFailuresOnly: what succeeded in a log says nothing.
func TestFailuresOnly(t *testing.T) {
	const passed = "2024.01.31 20:44:19.769         10277 [Client=UX, Thread=10] FINISH Results=Missing signing " +
		"certificate\n"
	failed := strings.Replace(passed, "        10277", "*ERROR* 10277", 1)
	success := "RunspaceId : 1\nDetail : Missing signing certificate\nResultType : Success\nIsValid : True\n"
	failure := strings.Replace(success, "Success", "Error", 1)
	for text, want := range map[string]int{
		passed: 0, failed: 1, passed + failed: 1, success: 0, failure: 1, success + "\n" + failure: 1,
		"2024.01.31 20:44:19.769 *ERROR* 10241 [Thread=10] Workflow Exception:\nMissing signing certificate\n": 1,
	} {
		if found := Suspects(text); len(found) != want {
			t.Errorf("%q: %v", text, found)
		}
	}
}

// TestOfLookup: the error of a lookup needs no word of the field, and its direction excludes
// causes.
func TestOfLookup(t *testing.T) {
	const text = "POST https://mail.contoso.com/x: The remote name could not be resolved, after three attempts of " +
		"one minute each"
	if found := Suspects(text); len(found) != 0 {
		t.Errorf("%v", found)
	}
	if found := OfLookup(text, OnlineToOnprem); len(found) != 1 || found[0].ID != "dns.name-unresolved" {
		t.Errorf("%v", found)
	}
	if found := OfLookup("Missing a linked account", OnpremToOnline); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

// One line that a message could have makes no message of a text, unless a message is asked for.
func TestOneLineIsNoMessage(t *testing.T) {
	const text = "Received: from laptop by mx.example.net with ESMTPSA id 1234; Thu, 26 Nov 2026 10:00:01 +0000\n"
	for wanted, is := range map[bool]bool{false: false, true: true} {
		if m, _ := readMessage(text, wanted); (m != nil) != is {
			t.Errorf("wanted %v: %+v", wanted, m)
		}
	}
}
