{{/* One pod, the same for every service: locked as Pod Security `restricted` wants it, no token, no links.

     steadyline.pod takes: root, component; image (a key of images), user (at Kafka), edges (names of defines
     steadyline.edge.*), args; config (the service's values); seconds (of grace); and if need be: env, volumes, mounts,
     health (false: no doors), command, annotations, ports, resources, preStop, restartPolicy, gpu, account, class,
     token (true: one of the cluster), subdomain. */}}

{{- define "steadyline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.security.runAsUser }}
runAsGroup: {{ .Values.security.runAsGroup }}
fsGroup: {{ .Values.security.runAsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "steadyline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "steadyline.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 2
  failureThreshold: 90
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* Whatever a setting's value is in YAML, a variable is text; whole numbers stay whole. */}}
{{- define "steadyline.settings" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}

{{- define "steadyline.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: {matchLabels: {{ include "steadyline.selector" . | fromYaml | toJson }}}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: {matchLabels: {{ include "steadyline.selector" . | fromYaml | toJson }}}
{{- end }}

{{/* A place on the node of a component's pods. */}}
{{- define "steadyline.near" -}}
topologyKey: kubernetes.io/hostname
labelSelector: {matchLabels: {{ include "steadyline.selector" . | fromYaml | toJson }}}
{{- end }}

{{/* The requests and limits of a service, with a GPU where one is asked for. */}}
{{- define "steadyline.resources" -}}
{{- $resources := deepCopy .config.resources -}}
{{- if and .gpu .gpu.enabled -}}
{{- $limits := set (default dict $resources.limits) .gpu.resource .gpu.count -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{- define "steadyline.pod" -}}
{{- $root := .root -}}
{{- $config := default dict .config -}}
{{- $env := list -}}
{{- $volumes := list (dict "name" "tmp" "emptyDir" (dict "sizeLimit" (default "1Gi" .tmp))) -}}
{{- $mounts := list (dict "name" "tmp" "mountPath" "/tmp") -}}
{{- if .line -}}
{{- $env = append $env (dict "name" "STEADYLINE_LINE" "value" "/etc/steadyline/line.yaml") -}}
{{- $volumes = append $volumes (dict "name" "line" "configMap" (dict "name" .line)) -}}
{{- $mounts = append $mounts (dict "name" "line" "mountPath" "/etc/steadyline" "readOnly" true) -}}
{{- end -}}
{{- range .edges -}}
{{- $edge := include (printf "steadyline.edge.%s" .) $ | fromYaml -}}
{{- range default list $edge.env -}}{{- $env = append $env . -}}{{- end -}}
{{- range default list $edge.files -}}
{{- $items := list -}}
{{- range $key, $path := .items -}}{{- $items = append $items (dict "key" $key "path" $path) -}}{{- end -}}
{{- $volumes = append $volumes (dict "name" .name "secret" (dict "secretName" .secret "defaultMode" 288 "items" $items)) -}}
{{- $mounts = append $mounts (dict "name" .name "mountPath" (printf "/run/secrets/steadyline/%s" .name) "readOnly" true) -}}
{{- end -}}
{{- range default list $edge.volumes -}}{{- $volumes = append $volumes . -}}{{- end -}}
{{- range default list $edge.mounts -}}{{- $mounts = append $mounts . -}}{{- end -}}
{{- end -}}
{{- $env = concat $env (default list .env) (default list (include "steadyline.settings" (default dict $config.settings) | fromYamlArray)) -}}
{{- $volumes = concat $volumes (default list .volumes) (default list $config.extraVolumes) -}}
{{- $mounts = concat $mounts (default list .mounts) (default list $config.extraVolumeMounts) -}}
metadata:
  labels:
    {{- include "steadyline.selector" . | nindent 4 }}
    {{- with .group }}
    steadyline/group: {{ .name }}
    {{- end }}
  {{- with merge (dict) (default dict .annotations) (default dict $config.podAnnotations) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ default (include "steadyline.name" .) .account }}
  automountServiceAccountToken: {{ default false .token }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .seconds }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .class }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if and .gpu .gpu.enabled .gpu.runtimeClassName }}
  runtimeClassName: {{ .gpu.runtimeClassName }}
  {{- end }}
  securityContext:
    {{- include "steadyline.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.images.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - {name: {{ . }}}
    {{- end }}
  {{- end }}
  {{- with .subdomain }}
  subdomain: {{ . }}
  {{- end }}
  {{- if not .restartPolicy }}
  topologySpreadConstraints:
    {{- include "steadyline.spread" . | nindent 4 }}
  {{- end }}
  {{- with $config.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $config.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $config.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "steadyline.image" . }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      {{- with .command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with .args }}
      args: {{ toJson . }}
      {{- end }}
      securityContext:
        {{- include "steadyline.containerSecurity" $root | nindent 8 }}
      {{- with $env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or .health .ports }}
      ports:
        {{- if .health }}
        - {name: health, containerPort: {{ $root.Values.telemetry.healthPort }}}
        {{- end }}
        {{- with .ports }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- if .health }}
      {{- include "steadyline.probes" $root | nindent 6 }}
      {{- else }}
      {{- with .probes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- with .preStop }}
      lifecycle: {preStop: {sleep: {seconds: {{ . }}}}}
      {{- end }}
      resources:
        {{- include "steadyline.resources" . | nindent 8 }}
      volumeMounts:
        {{- toYaml $mounts | nindent 8 }}
  volumes:
    {{- toYaml $volumes | nindent 4 }}
{{- end }}

{{/* Time that a service needs at a stop, its last connections (8 s), and as much again to be sure. */}}
{{- define "steadyline.grace" -}}
{{- add . 15 -}}
{{- end }}

{{- define "steadyline.class" -}}
{{- $classes := .root.Values.priorityClasses -}}
{{- $given := get $classes .kind -}}
{{- if $given -}}
{{- $given -}}
{{- else if $classes.create -}}
{{- printf "%s-%s" (include "steadyline.fullname" .root) .kind -}}
{{- end -}}
{{- end }}
