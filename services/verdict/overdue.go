package verdict

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// overdueInterval is how often runs are looked at that wait for evidence.
const overdueInterval = 10 * time.Second

// decideOverdue decides runs whose evidence is later than the policy's deadlines
// allow, without it: that holds. What comes later still has the artifact judged
// again.
func (s *Service) decideOverdue(ctx context.Context) error {
	if len(s.policy.Settings().DeadlineMinutes) == 0 {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(overdueInterval):
		}
		if err := s.overdue(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "runs that are overdue could not be looked at", "error", err)
		}
	}
}

// overdue looks once at every run that is not decided.
func (s *Service) overdue(ctx context.Context, now time.Time) error {
	waiting, err := s.undecided(ctx)
	if err != nil {
		return err
	}
	for _, address := range waiting {
		c, err := join.ReadOverdue(ctx, stream{s.bus}, past{s.bus, s.store}, address, s.policy.Settings().RequiredEvidence)
		if errors.Is(err, join.ErrNotFound) || errors.Is(err, event.ErrInvalid) {
			continue // trimmed meanwhile, or a dead letter
		}
		if err != nil {
			return err
		}
		due := s.due(&c)
		if due.IsZero() || now.Before(due) {
			continue
		}
		c.Time = due.UTC()
		if err := s.conclude(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// due is when a case is decided although evidence is missing; zero if nothing
// is that has a deadline.
func (s *Service) due(c *Case) (due time.Time) {
	for kind, minutes := range s.policy.Settings().DeadlineMinutes {
		there := slices.ContainsFunc(c.Evidence, func(p join.Piece) bool { return p.Kind == kind })
		if at := c.Time.Add(time.Duration(minutes) * time.Minute); !there && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// undecided are the runs that the stream has an artifact of and no decision.
func (s *Service) undecided(ctx context.Context) ([]join.Address, error) {
	artifacts, err := s.bus.Subjects(ctx, bus.Events, event.AllArtifacts)
	if err != nil {
		return nil, err
	}
	decisions, err := s.bus.Subjects(ctx, bus.Events, event.AllDecisions)
	if err != nil {
		return nil, err
	}
	decided := map[string]bool{}
	for _, subject := range decisions {
		decided[subject] = true
	}
	var waiting []join.Address
	for _, subject := range artifacts {
		tokens := strings.Split(strings.TrimPrefix(subject, strings.TrimSuffix(event.AllArtifacts, ">")), ".")
		if len(tokens) != 3 {
			continue
		}
		registry, err := event.FromToken(tokens[1])
		run, also := event.FromToken(tokens[2])
		if err != nil || also != nil || decided[event.DecisionSubject(registry, run)] {
			continue
		}
		waiting = append(waiting, join.Address{Registry: registry, Run: run})
	}
	return waiting, nil
}

// late orders, once, that a run is judged again that was decided without
// evidence that has come since: of the kinds that were missing only.
func (s *Service) late(ctx context.Context, c *Case) error {
	m, err := s.bus.Last(ctx, event.DecisionSubject(c.Artifact.Registry, c.Artifact.Run))
	if err != nil {
		return err
	}
	var d event.Decision
	if m.Event == nil || event.Decode(m.Event, &d) != nil || len(d.Evidence) >= len(c.Evidence) {
		return nil // decided on all of it
	}
	a := c.Artifact
	a.Run, a.Supersedes, a.Lane, a.Reuse = event.NamedRun(d.Time, a.Run, "late"), a.Run, event.LaneAgain, nil
	a.Cause, a.Policy = "evidence came after its deadline", ""
	for _, ref := range d.Evidence {
		a.Reuse = append(a.Reuse, ref.Kind)
	}
	e, err := event.New("assize/verdict", time.Now(), &a)
	if err != nil {
		return bus.Permanent(err)
	}
	if _, err := s.bus.Publish(ctx, e, bus.Once()); err != nil && !errors.Is(err, bus.ErrExists) {
		return fmt.Errorf("order to judge run %s again: %w", d.Run, err)
	}
	return nil
}
