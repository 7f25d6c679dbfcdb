package fact

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

// Rule is a rule for the recipients of a directory. The pass over the directory applies all rules.
// A rule is a check: prereq declares one per rule.
type Rule struct {
	ID        string // of the check
	Title     string
	Attribute string // that is wrong in a finding
	Warn      bool   // a finding is a warning
	Why       string
	Fix       string
	Consider  string // what may break when a finding is fixed
	// Tenant marks a rule that compares with the tenant's domains.
	Tenant bool

	// applies reports whether the rule is for a recipient.
	applies func(u *directory.User) bool
	// find reports each wrong value of a recipient. The correction is empty where a person decides.
	find func(u *directory.User, k Known, report func(value, correction string))
	// clears says that a wrong value without a correction is to be removed.
	clears bool
}

// Known is what the rules compare with besides the directory.
type Known struct {
	// Domains are the verified domains of the tenant in lower case; nil: unknown.
	Domains map[string]bool
}

// verified reports whether an address is in a domain of the tenant.
func (k Known) verified(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return k.Domains[strings.ToLower(domain)]
}

// Conceals returns the attribute that every recipient hides, although the rule judges it and a
// healthy directory shows it. A directory omits what the account may not read.
func (s UserScan) Conceals(r Rule) string {
	expected := map[string]int{attributeProxies: s.Mailboxes + s.HiddenCount, attributeUPN: s.SignIn,
		attributeNickname: s.Applied["directory.nickname-missing"], attributeHomeMDB: s.Locals,
		attributeTarget: s.Applied["directory.target-missing"]}
	attributes := []string{r.Attribute}
	if r.Attribute == attributeMail {
		attributes = append(attributes, attributeProxies)
	}
	shown := map[string]int{attributeProxies: s.Addressed, attributeUPN: s.Named}
	for _, a := range []string{attributeNickname, attributeHomeMDB, attributeTarget, attributeMail} {
		shown[a] = s.Shown[a]
	}
	for _, a := range attributes {
		if expected[a] > 1 && shown[a] == 0 {
			return a
		}
	}
	return ""
}

const (
	attributeUPN      = "userPrincipalName"
	attributeProxies  = "proxyAddresses"
	attributeTarget   = "targetAddress"
	attributeNickname = "mailNickname"
	attributeHomeMDB  = "homeMDB"
	attributeMail     = "mail"
	attributeType     = "msExchRecipientTypeDetails"
	attributeRemote   = "msExchRemoteRecipientType"
	attributeMaster   = "msExchMasterAccountSid"
	attributeName     = "distinguishedName"
)

// The limits of Microsoft Entra and of Exchange Online.
const (
	maxUPN         = 113
	maxUPNLocal    = 64
	maxUPNSuffix   = 48
	maxProxy       = 256
	maxTarget      = 255
	maxNickname    = 64
	addressIllegal = `<>()[];,"\`
	upnIllegal     = "\\%&*+/=?{}|<>();:,[]\"`$"
)

func isUser(u *directory.User) bool     { return u.Kind == directory.KindUser }
func isRecipient(*directory.User) bool  { return true }
func named(u *directory.User) bool      { return isUser(u) && u.UPN != "" }
func addressed(u *directory.User) bool  { return u.Addressed }
func managed(u *directory.User) bool    { return u.Type != 0 }
func local(u *directory.User) bool      { return u.Type.Local() }
func remote(u *directory.User) bool     { return u.Type.Remote() }
func nicknamed(u *directory.User) bool  { return u.Nickname != "" }
func onePrimary(u *directory.User) bool { return len(u.Primary) == 1 && u.Mail != "" }
func hasTarget(u *directory.User) bool  { return u.TargetAddress != "" }
func isMailUser(u *directory.User) bool {
	return u.Type&(directory.MailUser|directory.MailContact) != 0
}
func isLinked(u *directory.User) bool   { return u.Type&linked != 0 }
func hasPrimary(u *directory.User) bool { return len(u.Primary) > 0 }
func notForeign(u *directory.User) bool { return u.Addressed && !isMailUser(u) }
func notContact(u *directory.User) bool { return isUser(u) && u.UPN != "" && !isMailUser(u) }
func unmanaged(u *directory.User) bool  { return isUser(u) && u.Type == 0 }

const linked = directory.LinkedMailbox | directory.LinkedRoomMailbox

// Rules are the rules, in the order in which reports show them. They include those of IdFix, which
// Microsoft withdrew on 2026-06-30.
var Rules = []Rule{
	{
		ID: "directory.upn-format", Attribute: attributeUPN, applies: named,
		Title: "User principal names have only allowed characters",
		Why: "Microsoft Entra takes letters, digits and ' . - _ ! # ^ ~ around one @. Synchronization refuses " +
			"another name, or replaces its characters: the user signs in with a name that no one expects.",
		Fix: "Set userPrincipalName to a name with allowed characters, the primary address if possible.",
		Consider: "Saved passwords, certificates and programs that know the old sign-in name stop working for " +
			"the user.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if fixed := cleanAddress(u.UPN, upnIllegal); fixed != u.UPN {
				report(u.UPN, plausible(fixed))
			}
		},
	},
	{
		ID: "directory.upn-length", Attribute: attributeUPN, applies: named,
		Title:    "User principal names are short enough",
		Why:      "Microsoft Entra takes 64 characters before the @, 48 after it and 113 in total.",
		Fix:      "Shorten userPrincipalName.",
		Consider: "The user signs in with the new name.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			before, after, _ := strings.Cut(u.UPN, "@")
			if length(u.UPN) > maxUPN || length(before) > maxUPNLocal || length(after) > maxUPNSuffix {
				report(u.UPN, "")
			}
		},
	},
	{
		ID: "directory.upn-suffix", Attribute: attributeUPN, Tenant: true, applies: notContact,
		Title: "The suffixes of user principal names are verified in the tenant",
		Why: "Synchronization replaces an unverified suffix by the tenant's onmicrosoft.com domain. The user " +
			"cannot sign in with the name of Active Directory, and lookups may name a user that the tenant does " +
			"not have.",
		Fix: "Verify the domain in the tenant, or add a verified suffix in Active Directory Domains and Trusts " +
			"and assign it to the users.",
		Consider: "Programs and smart cards that know the old sign-in name stop working for the user.",
		find: func(u *directory.User, k Known, report func(value, correction string)) {
			if k.verified(u.UPN) {
				return
			}
			correction := ""
			if len(u.Primary) == 1 && k.verified(u.Primary[0]) {
				correction = u.Primary[0]
			}
			report(u.UPN, correction)
		},
	},
	{
		ID: "directory.address-format", Attribute: attributeProxies, applies: addressed,
		Title: "Addresses have a prefix and allowed characters",
		Why: "Synchronization refuses an object with a blank, a bracket, a comma, a semicolon, a quote or a " +
			"backslash in an SMTP address, without exactly one @, or with a domain that has no dot.",
		Fix:      "Correct the value in proxyAddresses.",
		Consider: "Mail to the old spelling of the address no longer arrives.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			wrong := func(prefix, address string) {
				if fixed := cleanAddress(address, addressIllegal); fixed != address || plausible(address) == "" {
					if fixed = plausible(fixed); fixed != "" {
						fixed = prefix + fixed
					}
					report(prefix+address, fixed)
				}
			}
			for _, a := range u.Primary {
				wrong("SMTP:", a)
			}
			for _, a := range u.Aliases {
				wrong("smtp:", a)
			}
			for _, a := range u.Others {
				if !strings.Contains(a, ":") {
					report(a, "")
				}
			}
		},
	},
	{
		ID: "directory.address-length", Attribute: attributeProxies, applies: addressed,
		Title:    "Addresses are short enough",
		Why:      "Microsoft Entra takes 256 characters per value of proxyAddresses.",
		Fix:      "Remove the value, or shorten it.",
		Consider: "An X500 address keeps replies to old mail working: replies to an address that is removed fail.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			for a := range stored(u) {
				if length(a) > maxProxy {
					report(a, "")
				}
			}
		},
	},
	{
		ID: "directory.address-domain", Attribute: attributeProxies, Tenant: true, Warn: true, applies: notForeign,
		Title: "The domains of addresses are verified in the tenant",
		Why: "Synchronization drops an address whose domain is not verified in the tenant: a mailbox that moves " +
			"loses it.",
		Fix:      "Verify the domain in the tenant, or remove the address.",
		Consider: "Mail to an address that is removed no longer arrives.",
		find: func(u *directory.User, k Known, report func(value, correction string)) {
			for _, a := range u.Primary {
				if !k.verified(a) {
					report("SMTP:"+a, "")
				}
			}
			for _, a := range u.Aliases {
				if !k.verified(a) {
					report("smtp:"+a, "")
				}
			}
		},
	},
	{
		ID: "directory.primary-domain", Attribute: attributeProxies, Warn: true, applies: hasPrimary,
		Title: "Primary addresses are in the organization's own domains",
		Why: "Exchange Online limits what a tenant sends from its onmicrosoft.com domains (NDR 5.7.236). An " +
			"address in an internal domain (.local) gets no replies from outside.",
		Fix: "Give the recipient a primary address in one of the organization's domains, with " +
			"Set-Mailbox -PrimarySmtpAddress or the email address policy.",
		Consider: "The old address stays as a secondary address. Outlook shows the new sender to others.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			for _, a := range u.Primary {
				if internalDomain(a) {
					report("SMTP:"+a, "")
				}
			}
		},
	},
	{
		ID: "directory.mail-matches-primary", Attribute: attributeMail, Warn: true, applies: onePrimary,
		Title: "The attribute mail equals the primary address",
		Why: "Exchange keeps both equal. Programs that read the directory, and Microsoft Entra where it compares " +
			"accounts, use mail.",
		Fix:      "Set mail to the primary address.",
		Consider: "Programs that identify users by mail see the new value.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if !strings.EqualFold(u.Mail, u.Primary[0]) {
				report(u.Mail, u.Primary[0])
			}
		},
	},
	{
		ID: "directory.target-format", Attribute: attributeTarget, applies: hasTarget,
		Title: "Target addresses can be used",
		Why:   "Synchronization refuses a target address that is no address of at most 255 characters.",
		Fix: "Correct targetAddress, with Set-MailUser -ExternalEmailAddress or Set-RemoteMailbox " +
			"-RemoteRoutingAddress.",
		Consider: "Mail for the recipient goes to the new address.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			kind, address, ok := strings.Cut(u.TargetAddress, ":")
			if ok && !strings.EqualFold(kind, "smtp") {
				return // a connector for another kind of address may exist
			}
			if !ok || length(u.TargetAddress) > maxTarget || plausible(address) == "" ||
				cleanAddress(address, addressIllegal) != address {
				report(u.TargetAddress, "")
			}
		},
	},
	{
		ID: "directory.target-stray", Attribute: attributeTarget, applies: local, clears: true,
		Title: "No mailbox on-premises has a target address",
		Why: "Exchange sends mail and lookups for the mailbox to the target address, past the mailbox. It is left " +
			"from a migration, or from another mail system.",
		Fix:      "Compare where the user reads mail. Then clear targetAddress.",
		Consider: "Mail that goes to another system by the target address stays in the mailbox from then on.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.TargetAddress != "" {
				report(u.TargetAddress, "")
			}
		},
	},
	{
		ID: "directory.target-missing", Attribute: attributeTarget,
		applies: func(u *directory.User) bool { return remote(u) || isMailUser(u) },
		Title:   "Remote mailboxes, mail users and contacts have a target address",
		Why: "On-premises Exchange has no address to send the recipient's mail to, and no domain to send lookups " +
			"to.",
		Fix: "Set it with Set-RemoteMailbox -RemoteRoutingAddress (an address in the coexistence domain), or " +
			"Set-MailUser or Set-MailContact -ExternalEmailAddress.",
		Consider: "Mail that was returned to its sender is delivered from then on.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.TargetAddress == "" {
				report("", "")
			}
		},
	},
	{
		ID: "directory.nickname-format", Attribute: attributeNickname, applies: nicknamed,
		Title: "Aliases (mailNickname) have only allowed characters",
		Why: "Exchange Online refuses an alias that begins or ends with a period, has blanks or @, or more than 64 " +
			"characters.",
		Fix: "Set the alias with Set-Mailbox -Alias, Set-RemoteMailbox -Alias or their like.",
		Consider: "An email address policy that builds addresses from the alias changes the primary address: set " +
			"EmailAddressPolicyEnabled to false before.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if fixed := cleanNickname(u.Nickname); fixed != u.Nickname {
				report(u.Nickname, fixed)
			}
		},
	},
	{
		ID: "directory.nickname-missing", Attribute: attributeNickname, applies: managed,
		Title: "Recipients have an alias (mailNickname)",
		Why: "Exchange does not manage an object without alias, and synchronization does not create it as a " +
			"recipient in Exchange Online.",
		Fix: "Set mailNickname, or disable the recipient with Disable-Mailbox, Disable-MailUser or their like when " +
			"it is left over.",
		Consider: "The object appears in address lists.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.Nickname == "" {
				report("", cleanNickname(u.SAMAccountName))
			}
		},
	},
	{
		ID: "directory.recipient-type", Attribute: attributeType, applies: unmanaged,
		Title: "Users with a mailbox have a recipient type",
		Why: "Exchange takes a user with homeMDB and without recipient type for a mailbox of Exchange 2003. " +
			"Synchronization and moves treat it as no mailbox.",
		Fix:      "Run Set-Mailbox USER -ApplyMandatoryProperties.",
		Consider: "None is known. Exchange writes the attributes that its own mailboxes have.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.HomeMDB != "" {
				report("", "")
			}
		},
	},
	{
		ID: "directory.home-database", Attribute: attributeHomeMDB, applies: remote, clears: true,
		Title: "No remote mailbox has a mailbox database on-premises",
		Why: "A move back fails with \"Target user already has a primary mailbox\", and on-premises servers may " +
			"deliver to the old database.",
		Fix: "Make sure that the mailbox on-premises is no longer used and exported. Then clear homeMDB and " +
			"homeMTA.",
		Consider: "The old mailbox is disconnected. Its database removes it after the retention time.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.HomeMDB != "" {
				report(u.HomeMDB, "")
			}
		},
	},
	{
		ID: "directory.database-deleted", Attribute: attributeHomeMDB, applies: local,
		Title: "No mailbox is in a database that was deleted",
		Why:   "Exchange cannot open the mailbox, move it, or answer lookups for it.",
		Fix: "Restore the database, or connect the mailbox to another one with Set-Mailbox -Database and a " +
			"backup.",
		Consider: "A mailbox that is connected to another database is empty until its content is restored.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if strings.Contains(u.HomeMDB, `\0ADEL:`) {
				report(u.HomeMDB, "")
			}
		},
	},
	{
		ID: "directory.mailbox-twice", Attribute: attributeRemote, Warn: true, applies: local,
		Title: "No mailbox on-premises is marked as one in Exchange Online",
		Why: "msExchRemoteRecipientType says that the mailbox was made in Exchange Online or moved there. The user " +
			"probably has a mailbox on both sides: mail and appointments go to one or the other.",
		Fix: "Compare both mailboxes. Export the one that is not used and disable it. Clear " +
			"msExchRemoteRecipientType when the one on-premises stays.",
		Consider: "Disabling a mailbox takes away the content that only it has.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			const provisioned, archive, moved, withdrawn = 1, 2, 4, 8
			if u.RemoteType&(provisioned|moved) != 0 && u.RemoteType&withdrawn == 0 {
				report(u.Type.String(), "")
			}
		},
	},
	{
		ID: "directory.linked-account", Attribute: attributeMaster, applies: isLinked,
		Title: "Linked mailboxes have an account",
		Why: "The owner of a linked mailbox signs in with an account of another forest. Without it no one opens " +
			"the mailbox.",
		Fix:      "Run Set-User -LinkedMasterAccount with -LinkedDomainController.",
		Consider: "The account that is linked gets full access to the mailbox.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if u.MasterAccountSID == "" {
				report("", "")
			}
		},
	},
	{
		ID: "directory.conflict-objects", Attribute: attributeName, Warn: true, applies: isRecipient,
		Title: "No recipient is a conflict object",
		Why: "Active Directory renames one of two objects that two domain controllers made at once (\\0ACNF:). " +
			"Both may have the same addresses and sign-in names.",
		Fix:      "Compare the two objects and delete the one that is not used.",
		Consider: "Group memberships and permissions of the deleted object are lost.",
		find: func(u *directory.User, _ Known, report func(value, correction string)) {
			if strings.Contains(strings.ToUpper(u.DN), `\0ACNF:`) {
				report(u.DN, "")
			}
		},
	},
}

// stored returns the addresses of a recipient as proxyAddresses has them.
func stored(u *directory.User) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, a := range u.Primary {
			if !yield("SMTP:" + a) {
				return
			}
		}
		for _, a := range u.Aliases {
			if !yield("smtp:" + a) {
				return
			}
		}
		for _, a := range u.Others {
			if !yield(a) {
				return
			}
		}
	}
}

func length(s string) int { return utf8.RuneCountInString(s) }

// cleanAddress removes the characters that an address must not have.
func cleanAddress(address, illegal string) string {
	cleaned := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(illegal, r) {
			return -1
		}
		return r
	}, address)
	name, domain, ok := strings.Cut(cleaned, "@")
	if !ok {
		return cleaned
	}
	for strings.Contains(name, "..") {
		name = strings.ReplaceAll(name, "..", ".")
	}
	return strings.Trim(name, ".") + "@" + strings.Trim(domain, ".")
}

// plausible returns an address with one @ and a domain with a dot, and nothing for another text.
func plausible(address string) string {
	name, domain, ok := strings.Cut(address, "@")
	if !ok || name == "" || strings.Contains(domain, "@") {
		return ""
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || slices.Contains(labels, "") {
		return ""
	}
	return address
}

func cleanNickname(name string) string {
	cleaned := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`@<>()[];:,"\`, r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(cleaned); len(runes) > maxNickname {
		cleaned = string(runes[:maxNickname])
	}
	return strings.Trim(cleaned, ".")
}

// internalDomain reports whether mail from outside cannot reach an address, or the tenant limits
// what is sent from it.
func internalDomain(address string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	for _, suffix := range []string{".local", ".localdomain", ".internal", ".lan", ".corp", ".intra",
		".onmicrosoft.com", ".onmicrosoft.us", ".partner.onmschina.cn"} {
		if strings.HasSuffix(domain, suffix) {
			return true
		}
	}
	return false
}
