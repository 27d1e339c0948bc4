{{- define "berth.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "berth.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "berth.name" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{/* Labels that select pods; they never change. The second argument is replica or front. */}}
{{- define "berth.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "berth.labels" -}}
{{ include "berth.selector" . }}
{{- $root := index . 0 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* What clients connect to: fronts, if there are any. */}}
{{- define "berth.entrance" -}}
{{ ternary "front" "replica" .Values.front.enabled }}
{{- end }}

{{/* http or https, at the port of the entrance. */}}
{{- define "berth.scheme" -}}
{{ ternary "HTTP" "HTTPS" (eq .Values.tls.mode "off") }}
{{- end }}

{{/* Replicas behind fronts have plain HTTP: the fronts' certificate is not for their names. */}}
{{- define "berth.replicaScheme" -}}
{{ if .Values.front.enabled }}HTTP{{ else }}{{ include "berth.scheme" . }}{{ end }}
{{- end }}

{{/* What all pods have: the image and how little it may do. */}}
{{- define "berth.container" -}}
image: "{{ required "image.repository: where you pushed the image of deploy/Containerfile" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
# The Service needs a moment to take the pod out, and Berth accepts no connection after SIGTERM.
lifecycle: { preStop: { exec: { command: [sleep, '5'] } } }
{{- end }}

{{- define "berth.pod" -}}
serviceAccountName: {{ include "berth.serviceAccount" . }}
# Kubernetes' variables for services could look like settings of Berth.
enableServiceLinks: false
automountServiceAccountToken: {{ not (empty .Values.serviceAccount.annotations) }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Not on one node, if that can be. The second argument is replica or front. */}}
{{- define "berth.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { {{- include "berth.selector" . | replace "\n" ", " }} } }
{{- end }}

{{- define "berth.ports" -}}
ports:
  - { name: registry, containerPort: 5000 }
  {{- if .Values.metrics.enabled }}
  - { name: metrics, containerPort: {{ .Values.metrics.port }} }
  {{- end }}
{{- end }}

{{/* For a scheme. The first start may run migrations, and waits for the database. */}}
{{- define "berth.probes" -}}
startupProbe:
  httpGet: { path: /health/live, port: registry, scheme: {{ . }} }
  periodSeconds: 2
  failureThreshold: 300
livenessProbe:
  httpGet: { path: /health/live, port: registry, scheme: {{ . }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /health/ready, port: registry, scheme: {{ . }} }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/* Settings as variables. Numbers of values.yaml are floats, which would become 1e+06. */}}
{{- define "berth.env" -}}
{{- range $name, $value := . }}
- { name: {{ $name }}, value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }} }
{{- end }}
{{- end }}

{{- define "berth.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom: { secretKeyRef: { name: {{ index . 1 }}, key: {{ index . 2 }} } }
{{- end }}

{{/* Mistakes that Kubernetes would accept. */}}
{{- define "berth.check" -}}
{{- if and .Values.front.enabled (eq .Values.tls.mode "auto") }}
{{- fail "tls.mode: fronts have no certificate of Berth's own authority; use secret or off" }}
{{- end }}
{{- if and (eq .Values.tls.mode "secret") (not .Values.tls.existingSecret) }}
{{- fail "tls.existingSecret: tls.mode secret needs a secret of the type kubernetes.io/tls" }}
{{- end }}
{{- if and (eq .Values.storage.driver "filesystem") (not .Values.storage.existingClaim) }}
{{- fail "storage.existingClaim: the driver filesystem needs a claim that all replicas can mount" }}
{{- end }}
{{- end }}
