{{/* What must be in the namespace before the pods can start, read from the edges and the volumes of the pods themselves:
     YAML of secrets (name → keys), configMaps and claims (name → true). */}}

{{- define "steadyline.awaited" -}}
{{- $root := . -}}
{{- $values := .Values -}}
{{- $secrets := dict -}}
{{- $pods := list (dict "component" "scorer") (dict "component" "trainer") (dict "component" "alerts") (dict "component" "doctor" "user" "steadyline") -}}
{{- $configs := list $values.scorer $values.trainer $values.alerts -}}
{{- if $values.producers.groups -}}
{{- $pods = append $pods (dict "component" "producers") -}}
{{- $configs = concat $configs (list $values.producers) $values.producers.groups -}}
{{- end -}}
{{- if $values.alerts.migrationJob.enabled }}{{ $pods = append $pods (dict "component" "migration" "user" "alerts") }}{{ end -}}
{{- if $values.triton.enabled -}}
{{- $configs = append $configs $values.triton -}}
{{- if eq $values.triton.securityProtocol "SSL" -}}
{{- $server := $values.triton.server -}}
{{- $_ := set $secrets $server.secret (dict $server.certificate true $server.key true) -}}
{{- end -}}
{{- end -}}
{{- range $pod := $pods -}}
{{- range $edge := include "steadyline.edgesOf" $pod.component | fromYamlArray -}}
{{- $made := include (printf "steadyline.edge.%s" $edge) (merge (dict "root" $root "user" (default $pod.component $pod.user)) $pod) | fromYaml -}}
{{- range default list $made.files -}}
{{- $keys := default dict (get $secrets .secret) -}}
{{- range $key, $_ := .items }}{{ $_ := set $keys $key true }}{{ end -}}
{{- $_ := set $secrets .secret $keys -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $more := list -}}
{{- if $values.redis.trial.enabled }}{{ $more = append $more $values.redis.trial.usersSecret }}{{ end -}}
{{- if $values.postgresql.trial.enabled }}{{ $more = append $more $values.postgresql.trial.passwordSecret }}{{ end -}}
{{- $reader := $values.triton.storeSecret -}}
{{- if and $values.triton.enabled $reader.name $values.signing.trustedKeysSecret.name }}{{ $more = append $more $reader }}{{ end -}}
{{- range $more -}}
{{- $_ := set $secrets .name (merge (dict .key true) (default dict (get $secrets .name))) -}}
{{- end -}}
{{- range $values.images.pullSecrets }}{{ $_ := set $secrets . (dict ".dockerconfigjson" true) }}{{ end -}}
{{- if $values.alerts.ingress.enabled }}{{ $_ := set $secrets $values.alerts.ingress.tlsSecret (dict "tls.crt" true "tls.key" true) }}{{ end -}}
{{- $maps := dict -}}
{{- $claims := dict -}}
{{- range list $values.triton.repository.existingClaim $values.store.volume.existingClaim -}}
{{- if . }}{{ $_ := set $claims . true }}{{ end -}}
{{- end -}}
{{- range $configs -}}
{{- range default list .extraVolumes -}}
{{- if .persistentVolumeClaim }}{{ $_ := set $claims .persistentVolumeClaim.claimName true }}{{ end -}}
{{- if .configMap }}{{ $_ := set $maps .configMap.name true }}{{ end -}}
{{- if .secret -}}
{{- $keys := default dict (get $secrets .secret.secretName) -}}
{{- range default list .secret.items }}{{ $_ := set $keys .key true }}{{ end -}}
{{- $_ := set $secrets .secret.secretName $keys -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "secrets" $secrets "configMaps" $maps "claims" $claims | toYaml -}}
{{- end }}

{{/* Who makes a secret, when it is not you. Takes root and name. */}}
{{- define "steadyline.makerOf" -}}
{{- $values := .root.Values -}}
{{- if $values.kafka.strimzi.enabled -}}
{{- $made := list -}}
{{- if not $values.kafka.ca.secret }}{{ $made = append $made (include "steadyline.kafkaCa" .root) }}{{ end -}}
{{- range $service, $_ := $values.kafka.users }}{{ $made = append $made (include "steadyline.kafkaUser" (dict "root" $.root "user" $service)) }}{{ end -}}
{{- if has .name $made }}Strimzi{{ end -}}
{{- end -}}
{{- if and $values.alerts.certManager.enabled (eq .name $values.alerts.ingress.tlsSecret) }}cert-manager{{ end -}}
{{- end }}
