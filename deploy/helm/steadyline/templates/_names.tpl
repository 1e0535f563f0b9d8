{{/* Names and labels. What takes more than the release takes a dict with `root` and `component`. */}}

{{- define "steadyline.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "steadyline.name" -}}
{{- printf "%s-%s" (include "steadyline.fullname" .root) .component | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "steadyline.releaseLabels" -}}
app.kubernetes.io/name: steadyline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "steadyline.selector" -}}
app.kubernetes.io/name: steadyline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "steadyline.labels" -}}
{{ include "steadyline.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* What is kept over `helm uninstall`. */}}
{{- define "steadyline.kept" -}}
{{- if .Values.keepData }}
helm.sh/resource-policy: keep
{{- end -}}
{{- end }}

{{- define "steadyline.image" -}}
{{- $image := get .root.Values.images .image -}}
{{- printf "%s/%s@%s" .root.Values.images.registry $image.repository $image.digest -}}
{{- end }}

{{/* A selector of peers: those given, or the release's own pods of a component. */}}
{{- define "steadyline.peer" -}}
- podSelector: {matchLabels: {{ include "steadyline.selector" . | fromYaml | toJson }}}
{{- end }}

{{/* A Kubernetes name of what may have capitals or underscores. */}}
{{- define "steadyline.kubernetesName" -}}
{{- . | lower | replace "_" "-" | trunc 63 | trimSuffix "-" -}}
{{- end }}
