package organization

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The service's constants and bounds.
const (
	largestPage    = 1000
	largestRequest = 4 << 20
	pagesKept      = 64
	pagingExpired  = "Expired or Invalid pagination request. Default Expiry time is 00:30:00"
)

// AdminAPI serves the organization as Exchange Online's admin API. verify returns the owner of a
// request's token. Its error refuses the request with 401. The exception is link.ErrAccess with a
// known caller: it is the 403 of an application without a directory role.
func (o *Organization) AdminAPI(verify func(bearer string) (Caller, error)) http.Handler {
	a := &adminAPI{o: o, verify: verify, pages: map[string]pending{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /adminapi/beta/{tenant}/InvokeCommand", a.authorized(a.invoke))
	mux.HandleFunc("GET /adminapi/v1.0/{tenant}/EXOModuleFile", a.authorized(a.moduleFile))
	mux.HandleFunc("GET /adminapi/beta/{tenant}/EXOModuleFile", a.authorized(a.moduleFile))
	mux.HandleFunc("/adminapi/v1.0/{tenant}/InvokeCommand",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	return mux
}

type adminAPI struct {
	o      *Organization
	verify func(bearer string) (Caller, error)

	mu    sync.Mutex
	pages map[string]pending
	order []string
}

// pending is the rest of an answer.
type pending struct {
	anchor, connection string
	body               string
	rest               []json.RawMessage
}

func (a *adminAPI) authorized(next func(http.ResponseWriter, *http.Request, Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("request-id", randomText())
		a.o.mu.Lock()
		throttled := a.o.throttles > 0
		if throttled {
			a.o.throttles--
		}
		a.o.mu.Unlock()
		if throttled {
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Rate-Limit-Remaining", "0")
			writeError(w, http.StatusTooManyRequests, "TooManyRequests",
				"The server is too busy to process the request.", nil)
			return
		}
		bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			refuse(w, "")
			return
		}
		caller, err := a.verify(bearer)
		switch {
		case errors.Is(err, link.ErrAccess):
			forbid(w)
			return
		case err != nil:
			refuse(w, err.Error())
			return
		}
		if tenant := a.o.c.Tenant; tenant != "" && !strings.EqualFold(r.PathValue("tenant"), tenant) {
			refuse(w, "The tenant of the token isn't the tenant of the request.")
			return
		}
		next(w, r, caller)
	}
}

func randomText() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// refuse is the service's 401.
func refuse(w http.ResponseWriter, why string) {
	challenge := `Bearer client_id="` + exchangeOnline + `", trusted_issuers="` + accessControl +
		`@*", token_types="app_asserted_user_v1 service_asserted_app_v1"`
	if why != "" {
		challenge += `, error="invalid_token", error_description="` +
			strings.NewReplacer(`"`, "'", "\r", " ", "\n", " ").Replace(why) + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.WriteHeader(http.StatusUnauthorized)
}

// forbid is the service's 403, which it fills with NUL bytes and declares as gzip.
func forbid(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(make([]byte, 64))
}

// writeError is the service's error answer; e may be nil.
func writeError(w http.ResponseWriter, status int, code, message string, e *exchange.Error) {
	type detail struct {
		Code    string `json:"code"`
		Target  string `json:"target"`
		Message string `json:"message"`
	}
	body := map[string]any{"code": code, "message": message}
	if e != nil {
		text := fmt.Sprintf("Ex%06X|%s|%s", checksum(e.ExceptionType)&0xffffff, e.ExceptionType, e.Message)
		body["details"] = []detail{{"Context", e.Target, text}}
		body["innererror"] = map[string]any{
			"message": "Error executing cmdlet", "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
			"internalexception": map[string]any{"message": text,
				"type":       "Microsoft.Exchange.Management.PSDirectInvoke.DirectInvokeCmdletExecutionException",
				"stacktrace": ""},
		}
		w.Header().Set("x-ExceptionType", e.ExceptionType)
		w.Header().Set("Cmdlet-Name", e.Cmdlet)
	}
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": body, "adminapi.warnings@odata.type": "#Collection(String)",
		"@adminapi.warnings": []string{}})
}

func (a *adminAPI) moduleFile(w http.ResponseWriter, r *http.Request, caller Caller) {
	names := a.o.Cmdlets(caller)
	if asked := r.Header.Get("CommandName"); asked != "" && asked != "*" {
		var some []string
		for _, n := range names {
			for pattern := range strings.SplitSeq(asked, ",") {
				if matches(strings.TrimSpace(pattern), n) {
					some = append(some, n)
					break
				}
			}
		}
		names = some
	}
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"@odata.context": "https://" + r.Host + "/adminapi/v1.0/" + r.PathValue("tenant") + "/$metadata#EXOModuleFile",
		"value":          []any{map[string]any{"exportedCmdlets": strings.Join(names, ",")}},
	})
}

func (a *adminAPI) invoke(w http.ResponseWriter, r *http.Request, caller Caller) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestRequest))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large.", nil)
		return
	}
	size := largestPage
	for preference := range strings.SplitSeq(r.Header.Get("Prefer"), ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(preference), "odata.maxpagesize="); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 0 && n < size {
				size = n
			}
		}
	}
	if token := r.URL.Query().Get("$skiptoken"); token != "" {
		a.page(w, r, body, token, size)
		return
	}
	cmd, err := invocation(body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "BadRequest", err.Error(), nil)
		return
	}
	// A cmdlet outside the caller's roles is a 403 without a body.
	spec, ok := exchange.Catalogue().Find(cmd.Name)
	a.o.mu.Lock()
	may := a.o.allowed(caller, cmd.Name)
	a.o.mu.Unlock()
	if !ok || !spec.On(exchange.Online) || !may {
		a.o.mu.Lock()
		a.o.runs[strings.ToLower(cmd.Name)]++
		a.o.mu.Unlock()
		forbid(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute)
	defer cancel()
	out, warnings, err := a.o.run(ctx, caller, cmd)
	if err != nil {
		var e *exchange.Error
		if !errors.As(err, &e) {
			e = &exchange.Error{Cmdlet: cmd.Name, ExceptionType: "System.Exception", Message: err.Error()}
		}
		status, code := http.StatusBadRequest, "BadRequest"
		if errors.Is(e, exchange.ErrNotFound) {
			status, code = http.StatusNotFound, "NotFound"
		}
		writeError(w, status, code, "Error executing cmdlet", e)
		return
	}
	values := make([]json.RawMessage, 0, len(out))
	for _, e := range out {
		text, err := e.odata()
		if err != nil {
			writeError(w, http.StatusInternalServerError, "InternalServerError", err.Error(), nil)
			return
		}
		values = append(values, text)
	}
	a.answer(w, r, body, values, warnings, size)
}

// page returns the next part of a paged answer, only to the caller who started it.
func (a *adminAPI) page(w http.ResponseWriter, r *http.Request, body []byte, token string, size int) {
	a.mu.Lock()
	p, ok := a.pages[token]
	a.mu.Unlock()
	if !ok || p.anchor != r.Header.Get("X-AnchorMailbox") || p.connection != r.Header.Get("Connection-Id") ||
		p.body != string(body) {
		writeError(w, http.StatusBadRequest, "BadRequest", pagingExpired, nil)
		return
	}
	a.answer(w, r, body, p.rest, nil, size)
}

func (a *adminAPI) answer(w http.ResponseWriter, r *http.Request, body []byte, values []json.RawMessage,
	warnings []string, size int) {
	if warnings == nil {
		warnings = []string{}
	}
	answer := map[string]any{
		"@odata.context": "https://" + r.Host + "/adminapi/beta/" + r.PathValue("tenant") +
			"/$metadata#Collection(Exchange.GenericHashTable)",
		"adminapi.warnings@odata.type": "#Collection(String)",
		"@adminapi.warnings":           warnings,
	}
	if len(values) > size {
		token := randomText()
		a.mu.Lock()
		a.pages[token] = pending{anchor: r.Header.Get("X-AnchorMailbox"), connection: r.Header.Get("Connection-Id"),
			body: string(body), rest: values[size:]}
		a.order = append(a.order, token)
		if len(a.order) > pagesKept {
			delete(a.pages, a.order[0])
			a.order = a.order[1:]
		}
		a.mu.Unlock()
		answer["@odata.nextLink"] = "https://" + r.Host + r.URL.Path + "?$skiptoken=" + token
		values = values[:size]
	}
	answer["value"] = values
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal")
	w.Header().Set("Rate-Limit-Limit", "30000")
	w.Header().Set("Rate-Limit-Remaining", "29999")
	_ = json.NewEncoder(w).Encode(answer)
}

// invocation reads a request's body.
func invocation(body []byte) (exchange.Command, error) {
	var in struct {
		CmdletInput *struct {
			CmdletName string
			Parameters *map[string]any
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return exchange.Command{}, errors.New("The request body isn't valid JSON.")
	}
	if in.CmdletInput == nil || in.CmdletInput.CmdletName == "" {
		return exchange.Command{}, errors.New("CmdletInput with a CmdletName is required.")
	}
	if in.CmdletInput.Parameters == nil {
		return exchange.Command{}, errors.New("Parameters must not be null.")
	}
	cmd := exchange.Command{Name: in.CmdletInput.CmdletName, Parameters: map[string]any{}}
	for name, v := range *in.CmdletInput.Parameters {
		decoded, err := fromOData(v)
		if err != nil {
			return cmd, fmt.Errorf("The value of parameter %s can't be read: %w", name, err)
		}
		cmd.Parameters[name] = decoded
	}
	return cmd, nil
}

// fromOData reads a parameter's value: hashtables and byte arrays are marked by their types, an
// unmarked object is refused.
func fromOData(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			d, err := fromOData(e)
			if err != nil {
				return nil, err
			}
			out[i] = d
		}
		return out, nil
	case map[string]any:
		switch v["@odata.type"] {
		case "#Exchange.ByteArrayType":
			s, ok := v["Data"].(string)
			if !ok {
				return nil, errors.New("Data isn't base64")
			}
			return base64.StdEncoding.DecodeString(s)
		case "#Exchange.GenericHashTable":
			out := map[string]any{}
			for k, e := range v {
				if k == "@odata.type" {
					continue
				}
				d, err := fromOData(e)
				if err != nil {
					return nil, err
				}
				out[k] = d
			}
			return out, nil
		}
		return nil, errors.New("An untyped value was encountered; annotate it with @odata.type")
	}
	return v, nil
}

// odata writes an output object with the annotations that name its properties' types.
func (e output) odata() (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	member := func(name string, v any) error {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(key)
		b.WriteByte(':')
		b.Write(text)
		return nil
	}
	var err error
	write := func(name string, v any, list, guid bool) {
		for _, m := range sidecars(name, v, list, guid) {
			if err == nil {
				err = member(m.name, m.value)
			}
		}
	}
	if e.record != nil {
		for _, p := range e.list {
			write(p.name, p.value, p.list, p.kind == "guid")
		}
	} else {
		for _, name := range e.object.Names() {
			v, failed := e.object.Value(name)
			if failed != nil {
				continue
			}
			_, list := v.([]any)
			write(name, v, list, false)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), err
}

type jsonMember struct {
	name  string
	value any
}

func sidecars(name string, v any, list, guid bool) []jsonMember {
	if v == nil {
		return []jsonMember{{name, nil}}
	}
	switch v := v.(type) {
	case time.Time:
		return []jsonMember{{name + "@data.type", "System.DateTime"},
			{name, v.Format("2006-01-02T15:04:05.0000000Z07:00")}}
	case []byte:
		return []jsonMember{{name + "@odata.type", "#Binary"}, {name, base64.StdEncoding.EncodeToString(v)}}
	case exchange.Object:
		inner := map[string]any{}
		for _, n := range v.Names() {
			if value, err := v.Value(n); err == nil {
				inner[n] = value
			}
		}
		return []jsonMember{{name, inner}}
	}
	switch {
	case list:
		return []jsonMember{{name + "@odata.type", "#Collection(String)"}, {name, v}}
	case guid:
		return []jsonMember{{name + "@odata.type", "#Guid"}, {name, v}}
	}
	return []jsonMember{{name, v}}
}
