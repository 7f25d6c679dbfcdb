package ews

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The operations that clients use to find out version, time zones and the caller's own address
// before they ask for free/busy.

// mailboxOf is the address of the request's caller.
func (h *Handler) mailboxOf(r *http.Request) string {
	caller, _ := link.CallerOf(r.Context())
	if h.Mailbox != nil {
		if m := h.Mailbox(r.Context(), caller); m != "" {
			return m
		}
	}
	if caller.User == "" {
		return "unknown"
	}
	return caller.User
}

// convertID returns any id of getFolder unchanged, with its mailbox.
func (h *Handler) convertID(r *http.Request, body *soap.Element) string {
	format, _ := body.Get("DestinationFormat")
	var b strings.Builder
	fmt.Fprintf(&b, `<m:ConvertIdResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`, Messages, Types)
	for _, source := range body.Child("SourceIds").All("AlternateId") {
		id, _ := source.Get("Id")
		if _, ok := folderOfID(id); !ok {
			b.WriteString(`<m:ConvertIdResponseMessage ResponseClass="Error">` +
				`<m:MessageText>Id is malformed.</m:MessageText>` +
				`<m:ResponseCode>ErrorInvalidIdMalformed</m:ResponseCode>` +
				`<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:ConvertIdResponseMessage>`)
			continue
		}
		fmt.Fprintf(&b, `<m:ConvertIdResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`+
			`<m:AlternateId xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `+
			`xsi:type="t:AlternateIdType" Format="%s" Id="%s" Mailbox="%s"/>`+
			`</m:ConvertIdResponseMessage>`,
			soap.Escape(format), soap.Escape(id), soap.Escape(h.mailboxOf(r)))
	}
	b.WriteString(`</m:ResponseMessages></m:ConvertIdResponse>`)
	return b.String()
}

// folders are the distinguished folders that a mailbox has here, with the element that carries
// them.
var folders = map[string]struct{ element, class, name string }{
	"root":              {"Folder", "", "Top"},
	"msgfolderroot":     {"Folder", "", "Top of Information Store"},
	"publicfoldersroot": {"Folder", "", "IPM_SUBTREE"},
	"inbox":             {"Folder", "IPF.Note", "Inbox"},
	"outbox":            {"Folder", "IPF.Note", "Outbox"},
	"drafts":            {"Folder", "IPF.Note", "Drafts"},
	"sentitems":         {"Folder", "IPF.Note", "Sent Items"},
	"deleteditems":      {"Folder", "IPF.Note", "Deleted Items"},
	"junkemail":         {"Folder", "IPF.Note", "Junk Email"},
	"notes":             {"Folder", "IPF.StickyNote", "Notes"},
	"journal":           {"Folder", "IPF.Journal", "Journal"},
	"calendar":          {"CalendarFolder", "IPF.Appointment", "Calendar"},
	"contacts":          {"ContactsFolder", "IPF.Contact", "Contacts"},
	"tasks":             {"TasksFolder", "IPF.Task", "Tasks"},
}

const idPrefix = "folder:"

func folderID(name string) string {
	return base64.StdEncoding.EncodeToString([]byte(idPrefix + name))
}

func folderOfID(id string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return "", false
	}
	name, ok := strings.CutPrefix(string(raw), idPrefix)
	if !ok {
		return "", false
	}
	_, ok = folders[name]
	return name, ok
}

func (h *Handler) getFolder(_ *http.Request, body *soap.Element) string {
	shape := body.Value("FolderShape", "BaseShape")
	var more []string
	if p := body.Child("FolderShape", "AdditionalProperties"); p != nil {
		for _, e := range p.Children {
			field, _ := e.Get("FieldURI")
			more = append(more, field)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:GetFolderResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`, Messages, Types)
	ids := body.Child("FolderIds")
	if ids == nil {
		ids = &soap.Element{}
	}
	for _, e := range ids.Children {
		id, _ := e.Get("Id")
		name, ok := id, true
		if e.Name.Local == "FolderId" {
			name, ok = folderOfID(id)
		}
		f, known := folders[name]
		if !ok || !known {
			b.WriteString(`<m:GetFolderResponseMessage ResponseClass="Error">` +
				`<m:MessageText>The specified folder could not be found in the store.</m:MessageText>` +
				`<m:ResponseCode>ErrorFolderNotFound</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>` +
				`<m:Folders/></m:GetFolderResponseMessage>`)
			continue
		}
		fmt.Fprintf(&b, `<m:GetFolderResponseMessage ResponseClass="Success">`+
			`<m:ResponseCode>NoError</m:ResponseCode><m:Folders><t:%s>`+
			`<t:FolderId Id="%s" ChangeKey="AQAAAA=="/>`, f.element, folderID(name))
		wanted := func(field string) bool { return shape != "IdOnly" || slices.Contains(more, "folder:"+field) }
		if f.class != "" && wanted("FolderClass") {
			fmt.Fprintf(&b, `<t:FolderClass>%s</t:FolderClass>`, f.class)
		}
		for _, p := range [][2]string{{"DisplayName", f.name}, {"TotalCount", "0"}, {"ChildFolderCount", "0"}} {
			if wanted(p[0]) {
				fmt.Fprintf(&b, `<t:%[1]s>%[2]s</t:%[1]s>`, p[0], p[1])
			}
		}
		fmt.Fprintf(&b, `</t:%s></m:Folders></m:GetFolderResponseMessage>`, f.element)
	}
	b.WriteString(`</m:ResponseMessages></m:GetFolderResponse>`)
	return b.String()
}

// namedZone is a Windows time zone with its rule of today.
type namedZone struct {
	id, name string
	zone     TimeZone
}

var (
	europe = func(bias int) TimeZone {
		at := map[int]time.Duration{0: 1, -60: 2, -120: 3}[bias] * time.Hour // everywhere at 01:00 UTC
		return TimeZone{bias, Transition{0, at + time.Hour, 5, time.October, time.Sunday},
			Transition{-60, at, 5, time.March, time.Sunday}}
	}
	america = func(bias int) TimeZone {
		return TimeZone{bias, Transition{0, 2 * time.Hour, 1, time.November, time.Sunday},
			Transition{-60, 2 * time.Hour, 2, time.March, time.Sunday}}
	}
	moreZones = []namedZone{
		{"Greenwich Standard Time", "(UTC+00:00) Monrovia, Reykjavik", TimeZone{}},
		{"W. Central Africa Standard Time", "(UTC+01:00) West Central Africa", TimeZone{Bias: -60}},
		{"South Africa Standard Time", "(UTC+02:00) Harare, Pretoria", TimeZone{Bias: -120}},
		{"Arab Standard Time", "(UTC+03:00) Kuwait, Riyadh", TimeZone{Bias: -180}},
		{"E. Africa Standard Time", "(UTC+03:00) Nairobi", TimeZone{Bias: -180}},
		{"Russian Standard Time", "(UTC+03:00) Moscow, St. Petersburg", TimeZone{Bias: -180}},
		{"Turkey Standard Time", "(UTC+03:00) Istanbul", TimeZone{Bias: -180}},
		{"Arabian Standard Time", "(UTC+04:00) Abu Dhabi, Muscat", TimeZone{Bias: -240}},
		{"Pakistan Standard Time", "(UTC+05:00) Islamabad, Karachi", TimeZone{Bias: -300}},
		{"Sri Lanka Standard Time", "(UTC+05:30) Sri Jayawardenepura", TimeZone{Bias: -330}},
		{"Nepal Standard Time", "(UTC+05:45) Kathmandu", TimeZone{Bias: -345}},
		{"Bangladesh Standard Time", "(UTC+06:00) Dhaka", TimeZone{Bias: -360}},
		{"SE Asia Standard Time", "(UTC+07:00) Bangkok, Hanoi, Jakarta", TimeZone{Bias: -420}},
		{"Singapore Standard Time", "(UTC+08:00) Kuala Lumpur, Singapore", TimeZone{Bias: -480}},
		{"Taipei Standard Time", "(UTC+08:00) Taipei", TimeZone{Bias: -480}},
		{"W. Australia Standard Time", "(UTC+08:00) Perth", TimeZone{Bias: -480}},
		{"Korea Standard Time", "(UTC+09:00) Seoul", TimeZone{Bias: -540}},
		{"AUS Central Standard Time", "(UTC+09:30) Darwin", TimeZone{Bias: -570}},
		{"E. Australia Standard Time", "(UTC+10:00) Brisbane", TimeZone{Bias: -600}},
		{"Argentina Standard Time", "(UTC-03:00) City of Buenos Aires", TimeZone{Bias: 180}},
		{"E. South America Standard Time", "(UTC-03:00) Brasilia", TimeZone{Bias: 180}},
		{"SA Western Standard Time", "(UTC-04:00) Georgetown, La Paz, Manaus, San Juan", TimeZone{Bias: 240}},
		{"SA Pacific Standard Time", "(UTC-05:00) Bogota, Lima, Quito", TimeZone{Bias: 300}},
		{"Central America Standard Time", "(UTC-06:00) Central America", TimeZone{Bias: 360}},
		{"Canada Central Standard Time", "(UTC-06:00) Saskatchewan", TimeZone{Bias: 360}},
		{"US Mountain Standard Time", "(UTC-07:00) Arizona", TimeZone{Bias: 420}},
		{"Hawaiian Standard Time", "(UTC-10:00) Hawaii", TimeZone{Bias: 600}},
		{"GTB Standard Time", "(UTC+02:00) Athens, Bucharest", europe(-120)},
		{"Atlantic Standard Time", "(UTC-04:00) Atlantic Time (Canada)", america(240)},
		{"Newfoundland Standard Time", "(UTC-03:30) Newfoundland", america(210)},
		{"Alaskan Standard Time", "(UTC-09:00) Alaska", america(540)},
		{"New Zealand Standard Time", "(UTC+12:00) Auckland, Wellington", TimeZone{-720,
			Transition{0, 3 * time.Hour, 1, time.April, time.Sunday},
			Transition{-60, 2 * time.Hour, 5, time.September, time.Sunday}}},
	}
	zones = append([]namedZone{
		{"UTC", "(UTC) Coordinated Universal Time", TimeZone{}},
		{"GMT Standard Time", "(UTC+00:00) Dublin, Edinburgh, Lisbon, London", europe(0)},
		{"W. Europe Standard Time", "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", europe(-60)},
		{"Romance Standard Time", "(UTC+01:00) Brussels, Copenhagen, Madrid, Paris", europe(-60)},
		{"Central Europe Standard Time", "(UTC+01:00) Belgrade, Bratislava, Budapest, Ljubljana, Prague", europe(-60)},
		{"Central European Standard Time", "(UTC+01:00) Sarajevo, Skopje, Warsaw, Zagreb", europe(-60)},
		{"FLE Standard Time", "(UTC+02:00) Helsinki, Kyiv, Riga, Sofia, Tallinn, Vilnius", europe(-120)},
		{"Eastern Standard Time", "(UTC-05:00) Eastern Time (US & Canada)", america(300)},
		{"Central Standard Time", "(UTC-06:00) Central Time (US & Canada)", america(360)},
		{"Mountain Standard Time", "(UTC-07:00) Mountain Time (US & Canada)", america(420)},
		{"Pacific Standard Time", "(UTC-08:00) Pacific Time (US & Canada)", america(480)},
		{"India Standard Time", "(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", TimeZone{Bias: -330}},
		{"China Standard Time", "(UTC+08:00) Beijing, Chongqing, Hong Kong, Urumqi", TimeZone{Bias: -480}},
		{"Tokyo Standard Time", "(UTC+09:00) Osaka, Sapporo, Tokyo", TimeZone{Bias: -540}},
		{"AUS Eastern Standard Time", "(UTC+10:00) Canberra, Melbourne, Sydney", TimeZone{-600,
			Transition{0, 3 * time.Hour, 1, time.April, time.Sunday},
			Transition{-60, 2 * time.Hour, 1, time.October, time.Sunday}}},
	}, moreZones...)
)

func zoneByID(id string) (namedZone, bool) {
	for _, z := range zones {
		if strings.EqualFold(z.id, id) {
			return z, true
		}
	}
	return namedZone{}, false
}

func getServerTimeZones(body *soap.Element) string {
	full, _ := body.Get("ReturnFullTimeZoneData")
	var wanted []namedZone
	if ids := body.Child("Ids"); ids != nil {
		for _, id := range ids.All("Id") {
			if z, ok := zoneByID(id.Text); ok {
				wanted = append(wanted, z)
			}
		}
	} else {
		wanted = zones
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:GetServerTimeZonesResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`+
		`<m:GetServerTimeZonesResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`+
		`<m:TimeZoneDefinitions>`, Messages, Types)
	for _, z := range wanted {
		if full == "false" || full == "0" {
			fmt.Fprintf(&b, `<t:TimeZoneDefinition Id="%s" Name="%s"/>`, soap.Escape(z.id), soap.Escape(z.name))
			continue
		}
		z.write(&b)
	}
	b.WriteString(`</m:TimeZoneDefinitions></m:GetServerTimeZonesResponseMessage></m:ResponseMessages>` +
		`</m:GetServerTimeZonesResponse>`)
	return b.String()
}

// write is the full t:TimeZoneDefinition: periods, the group of transitions that is valid every
// year, and the transition into it.
func (z namedZone) write(b *strings.Builder) {
	standard := "trule:Microsoft/Registry/" + z.id + "/1-Standard"
	daylight := "trule:Microsoft/Registry/" + z.id + "/1-Daylight"
	fmt.Fprintf(b, `<t:TimeZoneDefinition Id="%s" Name="%s"><t:Periods><t:Period Bias="%s" Name="Standard" Id="%s"/>`,
		soap.Escape(z.id), soap.Escape(z.name), duration(z.zone.Bias+z.zone.Standard.Bias), soap.Escape(standard))
	if z.zone.changes() {
		fmt.Fprintf(b, `<t:Period Bias="%s" Name="Daylight" Id="%s"/>`, duration(z.zone.Bias+z.zone.Daylight.Bias),
			soap.Escape(daylight))
	}
	b.WriteString(`</t:Periods><t:TransitionsGroups><t:TransitionsGroup Id="0">`)
	if z.zone.changes() {
		for _, half := range []struct {
			to string
			t  Transition
		}{{daylight, z.zone.Daylight}, {standard, z.zone.Standard}} {
			occurrence := half.t.Order
			if occurrence == 5 {
				occurrence = -1
			}
			fmt.Fprintf(b, `<t:RecurringDayTransition><t:To Kind="Period">%s</t:To><t:TimeOffset>%s</t:TimeOffset>`+
				`<t:Month>%d</t:Month><t:DayOfWeek>%s</t:DayOfWeek><t:Occurrence>%d</t:Occurrence>`+
				`</t:RecurringDayTransition>`,
				soap.Escape(half.to), duration(int(half.t.Time/time.Minute)), half.t.Month, half.t.Weekday, occurrence)
		}
	} else {
		fmt.Fprintf(b, `<t:Transition><t:To Kind="Period">%s</t:To></t:Transition>`, soap.Escape(standard))
	}
	b.WriteString(`</t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition>` +
		`<t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:TimeZoneDefinition>`)
}

// duration is minutes as an xs:duration.
func duration(minutes int) string {
	sign := ""
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	if minutes == 0 {
		return "PT0S"
	}
	s := sign + "PT"
	if h := minutes / 60; h > 0 {
		s += fmt.Sprintf("%dH", h)
	}
	if m := minutes % 60; m > 0 {
		s += fmt.Sprintf("%dM", m)
	}
	return s
}
