package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Names of the attributes on spans, metrics and logs. The messaging ones are
// still "Development" in the OpenTelemetry semantic conventions (v1.43.0) and
// will change: this file is the only place that spells them.
const (
	MessagingSystem                      = semconv.MessagingSystemKey
	MessagingOperationName               = semconv.MessagingOperationNameKey
	MessagingOperationType               = semconv.MessagingOperationTypeKey
	MessagingDestinationName             = semconv.MessagingDestinationNameKey
	MessagingDestinationTemplate         = semconv.MessagingDestinationTemplateKey
	MessagingDestinationSubscriptionName = semconv.MessagingDestinationSubscriptionNameKey
	MessagingConsumerGroupName           = semconv.MessagingConsumerGroupNameKey
	MessagingMessageID                   = semconv.MessagingMessageIDKey
	MessagingMessageBodySize             = semconv.MessagingMessageBodySizeKey
	MessagingBatchMessageCount           = semconv.MessagingBatchMessageCountKey
	MessagingClientID                    = semconv.MessagingClientIDKey

	ErrorType     = semconv.ErrorTypeKey
	ServerAddress = semconv.ServerAddressKey
	ServerPort    = semconv.ServerPortKey
)

// Values of MessagingOperationType.
const (
	OperationCreate  = "create"
	OperationSend    = "send"
	OperationReceive = "receive"
	OperationProcess = "process"
	OperationSettle  = "settle"
)

// SystemNATS is the value of MessagingSystem; the conventions list none for NATS.
const SystemNATS = "nats"

// Our own. Run and digest have a value per artifact and must never label a
// metric; the others have few values.
const (
	Run      = attribute.Key("assize.run")
	Registry = attribute.Key("assize.registry")
	Kind     = attribute.Key("assize.kind")
	Digest   = attribute.Key("assize.digest")
	Decision = attribute.Key("assize.decision")
)
