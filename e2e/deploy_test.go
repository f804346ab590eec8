package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// mountedSecrets is where the manifests put the files of assize-secrets.
const mountedSecrets = "/run/secrets/assize/"

// Every document is one that the API server would take, and what the
// documents say of each other, of the programs' settings and of the secrets
// is true.
func TestKubernetesManifests(t *testing.T) {
	known := knownSettings(t)
	made := madeSecrets(t)
	for _, overlay := range []string{"base", "advisories"} {
		t.Run(overlay, func(t *testing.T) {
			c := render(t, filepath.Join("..", "deploy", "k8s", overlay))
			ran := map[string]bool{}
			for _, w := range c.workloads {
				t.Run(w.kind+" "+w.name, func(t *testing.T) {
					for _, image := range c.checkPods(t, w, known, made) {
						ran[image] = true
					}
				})
			}
			for image := range known {
				if !ran[image] {
					t.Errorf("no workload runs assize/%s", image)
				}
			}
			for _, s := range c.services {
				c.checkService(t, s)
			}
		})
	}
}

// cluster is what a kustomization renders to.
type cluster struct {
	workloads []workload
	services  []corev1.Service
	settings  map[string]map[string]string // of the ConfigMaps
	claims    map[string]bool
}

// workload is whatever makes pods.
type workload struct {
	kind, name string
	selector   map[string]string // nil for a Job, which makes its own
	claims     []corev1.PersistentVolumeClaim
	pods       corev1.PodTemplateSpec
}

func render(t *testing.T, dir string) *cluster {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize: %v", err)
	}
	c := &cluster{settings: map[string]map[string]string{}, claims: map[string]bool{}}
	for _, r := range resources.Resources() {
		document, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if ns := r.GetNamespace(); ns != "assize" && r.GetKind() != "Namespace" {
			t.Errorf("%s is in namespace %q", r.CurId(), ns)
		}
		if err := c.add(r.GetApiVersion()+" "+r.GetKind(), document); err != nil {
			t.Errorf("%s: %v", r.CurId(), err)
		}
	}
	return c
}

// add decodes one document; a field that its type does not have is an error.
func (c *cluster) add(kind string, document []byte) error {
	switch kind {
	case "v1 Namespace":
		return yaml.UnmarshalStrict(document, new(corev1.Namespace))
	case "v1 ConfigMap":
		var m corev1.ConfigMap
		err := yaml.UnmarshalStrict(document, &m)
		c.settings[m.Name] = m.Data
		return err
	case "v1 PersistentVolumeClaim":
		var claim corev1.PersistentVolumeClaim
		err := yaml.UnmarshalStrict(document, &claim)
		c.claims[claim.Name] = true
		return err
	case "v1 Service":
		var s corev1.Service
		err := yaml.UnmarshalStrict(document, &s)
		c.services = append(c.services, s)
		return err
	case "apps/v1 Deployment":
		var d appsv1.Deployment
		err := yaml.UnmarshalStrict(document, &d)
		c.workloads = append(c.workloads, workload{d.Kind, d.Name, d.Spec.Selector.MatchLabels, nil, d.Spec.Template})
		return err
	case "apps/v1 StatefulSet":
		var s appsv1.StatefulSet
		err := yaml.UnmarshalStrict(document, &s)
		c.workloads = append(c.workloads, workload{s.Kind, s.Name, s.Spec.Selector.MatchLabels, s.Spec.VolumeClaimTemplates, s.Spec.Template})
		return err
	case "batch/v1 Job":
		var j batchv1.Job
		err := yaml.UnmarshalStrict(document, &j)
		c.workloads = append(c.workloads, workload{j.Kind, j.Name, nil, nil, j.Spec.Template})
		return err
	}
	return fmt.Errorf("%s is not a kind this test knows", kind)
}

// checkPods returns the images of a workload.
func (c *cluster) checkPods(t *testing.T, w workload, known map[string]settings, made []string) (images []string) {
	pod := w.pods.Spec
	if w.selector != nil && !selects(w.selector, w.pods.Labels) {
		t.Errorf("selector %v does not select its own pods, labelled %v", w.selector, w.pods.Labels)
	}
	volumes := map[string]bool{}
	secrets := map[string]bool{} // path to whether it is used
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.PersistentVolumeClaim != nil && !c.claims[v.PersistentVolumeClaim.ClaimName] {
			t.Errorf("volume %s is of a claim that nobody makes: %s", v.Name, v.PersistentVolumeClaim.ClaimName)
		}
		if v.Secret == nil {
			continue
		}
		if len(v.Secret.Items) == 0 {
			t.Errorf("volume %s gives every secret to a pod", v.Name)
		}
		for _, item := range v.Secret.Items {
			secrets[mountedSecrets+item.Path] = false
			if !slices.Contains(made, item.Key) {
				t.Errorf("secret %s is not one that secrets.sh makes: %v", item.Key, made)
			}
		}
	}
	for _, claim := range w.claims {
		volumes[claim.Name] = true
	}
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
		t.Error("the namespace refuses pods that may run as root or without a seccomp profile")
	}
	for _, container := range pod.Containers {
		name, has := imageOf(known, container.Image)
		images = append(images, name)
		if has == nil {
			t.Errorf("image %s is not one that images.sh builds", container.Image)
			continue
		}
		checkSecurity(t, container)
		env := c.environment(t, container)
		for variable, value := range env {
			if !has[variable] {
				t.Errorf("%s: assize/%s does not know this variable", variable, name)
			}
			if _, mounted := secrets[value]; strings.HasPrefix(value, mountedSecrets) && !mounted {
				t.Errorf("%s: %s is not mounted", variable, value)
			} else if mounted {
				secrets[value] = true
			}
		}
		for _, m := range container.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("no volume %s", m.Name)
			}
		}
		if w.kind != "Job" {
			checkProbes(t, container)
		}
	}
	for path, used := range secrets {
		if !used {
			t.Errorf("%s is mounted and not used", path)
		}
	}
	return images
}

// environment is what a container gets to see.
func (c *cluster) environment(t *testing.T, container corev1.Container) map[string]string {
	env := map[string]string{}
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef == nil || c.settings[from.ConfigMapRef.Name] == nil {
			t.Errorf("settings come from %v, which is not rendered", from)
			continue
		}
		for k, v := range c.settings[from.ConfigMapRef.Name] {
			env[k] = v
		}
	}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	return env
}

// checkSecurity asks for what Pod Security "restricted" asks of a container.
func checkSecurity(t *testing.T, container corev1.Container) {
	s := container.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
		t.Error("the namespace refuses containers that may gain privileges")
	}
	if s != nil && (s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem) {
		t.Error("the root file system is writable")
	}
}

func checkProbes(t *testing.T, container corev1.Container) {
	for name, probe := range map[string]*corev1.Probe{"readiness": container.ReadinessProbe, "liveness": container.LivenessProbe} {
		switch {
		case probe == nil:
			t.Errorf("no %s probe", name)
		case probe.HTTPGet != nil && !hasPort(container, probe.HTTPGet.Port.StrVal),
			probe.TCPSocket != nil && !hasPort(container, probe.TCPSocket.Port.StrVal):
			t.Errorf("the %s probe asks a port that the container has not", name)
		case probe.Exec != nil && probe.Exec.Command[0] != "/bin/main":
			t.Errorf("the %s probe runs %s, and there is only /bin/main", name, probe.Exec.Command[0])
		}
	}
}

func hasPort(container corev1.Container, name string) bool {
	return slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// checkService looks for pods that a service leads to, at ports that they have.
func (c *cluster) checkService(t *testing.T, s corev1.Service) {
	for _, port := range s.Spec.Ports {
		if !slices.ContainsFunc(c.workloads, func(w workload) bool {
			return selects(s.Spec.Selector, w.pods.Labels) && slices.ContainsFunc(w.pods.Spec.Containers,
				func(container corev1.Container) bool { return hasPort(container, port.TargetPort.StrVal) })
		}) {
			t.Errorf("service %s leads nowhere: no pod has port %s and labels %v", s.Name, port.TargetPort.String(), s.Spec.Selector)
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}
