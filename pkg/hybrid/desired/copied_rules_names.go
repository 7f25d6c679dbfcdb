package desired

// The properties of transport rules that both sides have, by their form.
var (
	ruleTexts = []string{
		"ADComparisonAttribute", "ADComparisonOperator", "AddManagerAsRecipientType", "ApplyClassification",
		"ApplyHtmlDisclaimerFallbackAction", "ApplyHtmlDisclaimerLocation", "ApplyHtmlDisclaimerText", "Comments",
		"ExceptIfADComparisonAttribute", "ExceptIfADComparisonOperator", "ExceptIfFromScope",
		"ExceptIfHasClassification", "ExceptIfHeaderContainsMessageHeader", "ExceptIfHeaderMatchesMessageHeader",
		"ExceptIfManagerForEvaluatedUser", "ExceptIfMessageTypeMatches", "ExceptIfSCLOver",
		"ExceptIfSenderManagementRelationship", "ExceptIfSentToScope", "ExceptIfWithImportance", "FromScope",
		"GenerateIncidentReport", "GenerateNotification", "HasClassification", "HeaderContainsMessageHeader",
		"HeaderMatchesMessageHeader", "LogEventText", "ManagerForEvaluatedUser", "MessageTypeMatches", "Mode",
		"NotifySender", "PrependSubject", "RejectMessageEnhancedStatusCode", "RejectMessageReasonText", "RemoveHeader",
		"RuleErrorAction", "SCLOver", "SenderAddressLocation", "SenderManagementRelationship", "SentToScope",
		"SetAuditSeverity", "SetHeaderName", "SetHeaderValue", "SetSCL", "SmtpRejectMessageRejectStatusCode",
		"SmtpRejectMessageRejectText", "WithImportance",
	}
	ruleSwitches = []string{
		"AttachmentHasExecutableContent", "AttachmentIsPasswordProtected", "AttachmentIsUnsupported",
		"AttachmentProcessingLimitExceeded", "DeleteMessage", "Disconnect", "ExceptIfAttachmentHasExecutableContent",
		"ExceptIfAttachmentIsPasswordProtected", "ExceptIfAttachmentIsUnsupported",
		"ExceptIfAttachmentProcessingLimitExceeded", "ExceptIfHasNoClassification", "ExceptIfHasSenderOverride",
		"HasNoClassification", "HasSenderOverride", "ModerateMessageByManager", "Quarantine",
		"RouteMessageOutboundRequireTls", "StopRuleProcessing",
	}
	ruleLists = []string{
		"AddToRecipients", "AnyOfCcHeader", "AnyOfCcHeaderMemberOf", "AnyOfRecipientAddressContainsWords",
		"AnyOfRecipientAddressMatchesPatterns", "AnyOfToCcHeader", "AnyOfToCcHeaderMemberOf", "AnyOfToHeader",
		"AnyOfToHeaderMemberOf", "AttachmentContainsWords", "AttachmentExtensionMatchesWords",
		"AttachmentMatchesPatterns", "AttachmentNameMatchesPatterns", "AttachmentPropertyContainsWords",
		"BetweenMemberOf1", "BetweenMemberOf2", "BlindCopyTo", "ContentCharacterSetContainsWords", "CopyTo",
		"ExceptIfAnyOfCcHeader", "ExceptIfAnyOfCcHeaderMemberOf", "ExceptIfAnyOfRecipientAddressContainsWords",
		"ExceptIfAnyOfRecipientAddressMatchesPatterns", "ExceptIfAnyOfToCcHeader", "ExceptIfAnyOfToCcHeaderMemberOf",
		"ExceptIfAnyOfToHeader", "ExceptIfAnyOfToHeaderMemberOf", "ExceptIfAttachmentContainsWords",
		"ExceptIfAttachmentExtensionMatchesWords", "ExceptIfAttachmentMatchesPatterns",
		"ExceptIfAttachmentNameMatchesPatterns", "ExceptIfAttachmentPropertyContainsWords", "ExceptIfBetweenMemberOf1",
		"ExceptIfBetweenMemberOf2", "ExceptIfContentCharacterSetContainsWords", "ExceptIfFrom",
		"ExceptIfFromAddressContainsWords", "ExceptIfFromAddressMatchesPatterns", "ExceptIfFromMemberOf",
		"ExceptIfHeaderContainsWords", "ExceptIfHeaderMatchesPatterns", "ExceptIfManagerAddresses",
		"ExceptIfRecipientADAttributeContainsWords", "ExceptIfRecipientADAttributeMatchesPatterns",
		"ExceptIfRecipientAddressContainsWords", "ExceptIfRecipientAddressMatchesPatterns", "ExceptIfRecipientDomainIs",
		"ExceptIfSenderADAttributeContainsWords", "ExceptIfSenderADAttributeMatchesPatterns", "ExceptIfSenderDomainIs",
		"ExceptIfSenderIpRanges", "ExceptIfSentTo", "ExceptIfSentToMemberOf", "ExceptIfSubjectContainsWords",
		"ExceptIfSubjectMatchesPatterns", "ExceptIfSubjectOrBodyContainsWords", "ExceptIfSubjectOrBodyMatchesPatterns",
		"From", "FromAddressContainsWords", "FromAddressMatchesPatterns", "FromMemberOf", "HeaderContainsWords",
		"HeaderMatchesPatterns", "IncidentReportContent", "ManagerAddresses", "ModerateMessageByUser",
		"RecipientADAttributeContainsWords", "RecipientADAttributeMatchesPatterns", "RecipientAddressContainsWords",
		"RecipientAddressMatchesPatterns", "RecipientDomainIs", "RedirectMessageTo", "SenderADAttributeContainsWords",
		"SenderADAttributeMatchesPatterns", "SenderDomainIs", "SenderIpRanges", "SentTo", "SentToMemberOf",
		"SubjectContainsWords", "SubjectMatchesPatterns", "SubjectOrBodyContainsWords", "SubjectOrBodyMatchesPatterns",
	}
)
