{{/* What the chart reads of the line file, and which part of it each service reads. */}}

{{- define "steadyline.line" -}}
{{- $line := fromYaml .Values.line.file -}}
{{- if hasKey $line "Error" -}}
{{- fail (printf "line.file is no YAML: %s" $line.Error) -}}
{{- end -}}
{{- if not (and $line.line $line.products) -}}
{{- fail "line.file holds no line: give it by --set-file line.file=line.yaml" -}}
{{- end -}}
{{- toYaml $line -}}
{{- end }}

{{- define "steadyline.topicSection" -}}
{{- $line := include "steadyline.line" . | fromYaml -}}
{{- $given := default dict $line.topics -}}
{{- $prefix := default "steadyline" $given.prefix | toString -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$" $prefix) -}}
{{- fail (printf "topics.prefix %q of the line file: a name has a-z, 0-9, '.', '_' and '-', 64 at most; a letter or digit at both ends" $prefix) -}}
{{- end -}}
{{- if regexMatch "\\.(scorer|alerts)(\\.|$)" $prefix -}}
{{- fail (printf "topics.prefix %s: another line could take over its transactional ids; choose a prefix without .scorer and .alerts in it" $prefix) -}}
{{- end -}}
{{- toYaml (merge (dict) $given (dict "prefix" "steadyline" "partitions" 8)) -}}
{{- end }}

{{- define "steadyline.prefix" -}}
{{- (include "steadyline.topicSection" . | fromYaml).prefix -}}
{{- end }}

{{- define "steadyline.partitions" -}}
{{- (include "steadyline.topicSection" . | fromYaml).partitions | int -}}
{{- end }}

{{/* The cameras of a group, as a list under `cameras`: those it names, or all of the line. */}}
{{- define "steadyline.groupCameras" -}}
{{- $line := include "steadyline.line" .root | fromYaml -}}
{{- $chosen := list -}}
{{- range default list $line.cameras -}}
{{- if or (not $.group.cameras) (has .id $.group.cameras) -}}
{{- $chosen = append $chosen . -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "cameras" $chosen) -}}
{{- end }}

{{/* A digest of what a service reads of the line file: a change of anything else does not roll its pods. */}}
{{- define "steadyline.lineChecksum" -}}
{{- $line := include "steadyline.line" .root | fromYaml -}}
{{- $cameras := list -}}
{{- $products := dict -}}
{{- $read := $line -}}
{{- if eq .component "producers" -}}
{{- $cameras = (include "steadyline.groupCameras" . | fromYaml).cameras -}}
{{- range default list $cameras -}}
{{- $_ := set $products .product (pick (default dict (get $line.products .product)) "picture") -}}
{{- end -}}
{{- $read = dict "line" $line.line "topics" $line.topics "products" $products "cameras" $cameras -}}
{{- else if eq .component "triton" -}}
{{- $read = dict "line" $line.line "store" $line.store -}}
{{- else if ne .component "alerts" -}}
{{- range default list $line.cameras -}}
{{- $cameras = append $cameras (pick . "id" "product") -}}
{{- end -}}
{{- range $name, $product := $line.products -}}
{{- if eq $.component "scorer" -}}
{{- $_ := set $products $name (pick (default dict $product) "picture" "evidence_sample") -}}
{{- else -}}
{{- $_ := set $products $name (omit (default dict $product) "alerts") -}}
{{- end -}}
{{- end -}}
{{- $read = dict "line" $line.line "topics" $line.topics "store" $line.store "products" $products "cameras" $cameras -}}
{{- end -}}
{{- toJson $read | sha256sum -}}
{{- end }}
