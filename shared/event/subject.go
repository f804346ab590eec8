package event

// Subjects are made of fixed words and tokens (see Token). Wildcards for
// subscribers follow from the patterns: "assize.verdict.deny.>" is every
// denial.
const (
	root             = "assize."
	subjectUpload    = root + "upload."
	subjectArtifact  = root + "artifact."
	subjectEvidence  = root + "evidence."
	subjectDecision  = root + "decision."
	subjectVerdict   = root + "verdict."
	subjectDead      = root + "dead."
	subjectOperation = root + "operation."
)

// Filters that select every event of a kind.
const (
	AllUploads    = subjectUpload + "*"
	AllArtifacts  = subjectArtifact + ">"
	AllEvidence   = subjectEvidence + ">"
	AllDecisions  = subjectDecision + ">"
	AllVerdicts   = subjectVerdict + ">"
	AllDead       = subjectDead + "*"
	AllOperations = subjectOperation + ">"
)

// ArtifactsOf selects the artifacts of one lane.
func ArtifactsOf(lane Lane) string { return subjectArtifact + Token(string(lane)) + ".>" }

// EvidenceOf selects the evidence of one kind.
func EvidenceOf(kind Kind) string { return subjectEvidence + Token(string(kind)) + ".>" }

// UploadSubject is where a registry announces an upload.
func UploadSubject(registry string) string { return subjectUpload + Token(registry) }

// ArtifactSubject is where ingest announces an artifact to be examined.
func ArtifactSubject(lane Lane, registry, run string) string {
	return subjectArtifact + Token(string(lane)) + "." + Token(registry) + "." + Token(run)
}

// EvidenceSubject is where the one piece of evidence of this kind about this
// run is published.
func EvidenceSubject(kind Kind, registry, run string) string {
	return subjectEvidence + Token(string(kind)) + "." + Token(registry) + "." + Token(run)
}

// DecisionSubject is where the one decision about this run is published.
func DecisionSubject(registry, run string) string {
	return subjectDecision + Token(registry) + "." + Token(run)
}

// VerdictSubject is where the signed verdict is published; packageType is
// the purl type, "generic" where there is none.
func VerdictSubject(outcome Outcome, registry, packageType, run string) string {
	return subjectVerdict + Token(string(outcome)) + "." + Token(registry) + "." + Token(packageType) + "." + Token(run)
}

// DeadSubject is where a service puts what it gave up on.
func DeadSubject(service string) string { return subjectDead + Token(service) }

// OperationSubject is where a service says what became of it.
func OperationSubject(service, id string) string {
	return subjectOperation + Token(service) + "." + Token(id)
}

// VerdictFilter selects verdicts; "*" stands for any decision, registry or
// type.
func VerdictFilter(decision, registry, packageType string) string {
	token := func(s string) string {
		if s == "*" {
			return s
		}
		return Token(s)
	}
	return subjectVerdict + token(decision) + "." + token(registry) + "." + token(packageType) + ".*"
}
