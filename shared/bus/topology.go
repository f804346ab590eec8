package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// The streams.
const (
	Uploads  = "UPLOADS"  // what registries announce
	Events   = "EVENTS"   // the facts of every run: artifact, evidence, decision, verdict
	Verdicts = "VERDICTS" // the verdicts alone, for subscribers
	Dead     = "DEAD"     // what services gave up on
	Excused  = "EXCUSED"  // deliveries that do not count; see attempts.go
)

// Durables that are not one per kind and lane.
const (
	DurableIngest          = "ingest"
	DurableVulnerabilities = "vulnerabilities"
	DurableVerdict         = "verdict"
	DurableAttest          = "attest"
	DurableRejudge         = "verdict-again" // artifacts that may need no new evidence
)

// DurableFor is the consumer that gives the artifacts of a lane to the
// analyser of a kind. One each, so that a backlog of re-examinations holds
// up no upload, and no slow analyser another.
func DurableFor(kind event.Kind, lane event.Lane) string { return string(kind) + "-" + string(lane) }

// byArtifact are the kinds that need nothing but the artifact.
var byArtifact = []event.Kind{event.KindSignature, event.KindSBOM, event.KindSecrets, event.KindContent}

const (
	duplicates  = 5 * time.Minute // longer than anybody retries a publish
	maxMessage  = 512 << 10       // event.MaxData in base64 inside a dead letter, and headers
	verdictsAge = 30 * 24 * time.Hour
	excusedAge  = 30 * 24 * time.Hour
	inFlight    = 1000 // messages handed out and unanswered, per durable
	againFlight = 4    // the same for the lane "again"
	ackWait     = 30 * time.Second

	// newMaxBytes is shared out among new streams unless told otherwise: a
	// tenth less than the server's store, which also holds its own state.
	newMaxBytes = DefaultMaxStore / 10 * 9
)

// streams is the one list of streams. All refuse what does not fit instead
// of forgetting what was not yet handled, and none persists asynchronously:
// that would switch off the server's fsync on every message.
func streams(o ProvisionOptions) []jetstream.StreamConfig {
	stream := func(name, why string, percent int64, subjects ...string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: why, Subjects: subjects,
			Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			Compression: jetstream.S2Compression, PersistMode: jetstream.DefaultPersistMode,
			MaxBytes: o.MaxBytes / 100 * percent, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
			MaxMsgSize: maxMessage, Duplicates: duplicates, Replicas: o.Replicas,
			DenyDelete: true,
		}
	}
	uploads := stream(Uploads, "uploads announced by registries; trimmed once ingested and logged", 15, event.AllUploads)
	// Followers of a run must see every fact that was acknowledged, so
	// reads come from the leader: AllowDirect stays off.
	events := stream(Events, "the facts of every run, and operations; trimmed once decided, delivered and logged", 55,
		event.AllArtifacts, event.AllEvidence, event.AllDecisions, event.AllVerdicts, event.AllOperations)
	verdicts := stream(Verdicts, "signed verdicts, for subscribers; kept 30 days", 20)
	verdicts.Sources = []*jetstream.StreamSource{{Name: Events, FilterSubject: event.AllVerdicts}}
	verdicts.MaxAge, verdicts.DenyPurge = o.VerdictsAge, true
	// Operators take out of DEAD what they have dealt with.
	dead := stream(Dead, "what services gave up on, whole, with the reason", 9, event.AllDead)
	dead.DenyDelete = false
	excused := stream(Excused, "deliveries that failed for reasons outside the message", 1, excusedSubject+">")
	excused.MaxMsgsPerSubject, excused.Discard, excused.MaxAge = 1, jetstream.DiscardOld, excusedAge
	return []jetstream.StreamConfig{uploads, events, verdicts, dead, excused}
}

type durable struct {
	stream string
	jetstream.ConsumerConfig
}

// durables is the one list of consumers. MaxDeliver is unlimited and BackOff
// unused: a server that counts would, at its limit, leave a message behind
// without a word; it is Consume that gives up, loudly.
func durables(o ProvisionOptions) []durable {
	consumer := func(stream, name, filter string, inFlight int) durable {
		return durable{stream, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: o.AckWait, MaxAckPending: inFlight,
			DeliverPolicy: jetstream.DeliverAllPolicy, MaxDeliver: -1, MaxWaiting: 512,
		}}
	}
	list := []durable{consumer(Uploads, DurableIngest, event.AllUploads, inFlight)}
	for _, kind := range byArtifact {
		for _, lane := range event.Lanes {
			most := inFlight
			if lane == event.LaneAgain {
				most = o.AgainInFlight
			}
			list = append(list, consumer(Events, DurableFor(kind, lane), event.ArtifactsOf(lane), most))
		}
	}
	rejudge := consumer(Events, DurableRejudge, "", inFlight)
	rejudge.FilterSubjects = []string{event.ArtifactsOf(event.LaneAsked), event.ArtifactsOf(event.LaneAgain)}
	return append(list,
		consumer(Events, DurableVulnerabilities, event.EvidenceOf(event.KindSBOM), inFlight),
		consumer(Events, DurableVerdict, event.AllEvidence, inFlight),
		rejudge,
		consumer(Events, DurableAttest, event.AllDecisions, inFlight))
}

// streamOf is the stream that takes messages on subject.
func streamOf(subject string) (string, error) {
	for _, s := range streams(ProvisionOptions{}) {
		if slices.ContainsFunc(s.Subjects, func(filter string) bool {
			return strings.HasPrefix(subject, strings.TrimRight(filter, "*>"))
		}) {
			return s.Name, nil
		}
	}
	return "", fmt.Errorf("no stream takes subject %q", subject)
}

// durableNamed finds a consumer of the topology.
func durableNamed(name string, o ProvisionOptions) (durable, bool) {
	list := durables(o)
	i := slices.IndexFunc(list, func(d durable) bool { return d.Durable == name })
	if i < 0 {
		return durable{}, false
	}
	return list[i], true
}
