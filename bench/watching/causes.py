"""The causes of alerts, made for real: what is broken, and which alerts it must raise."""

from bench.watching.causes_of_alerts import ALERTING_CAUSES
from bench.watching.causes_of_frames import FRAME_CAUSES
from bench.watching.causes_of_kafka import KAFKA_CAUSES
from bench.watching.causes_of_models import MODEL_CAUSES
from bench.watching.causes_of_servers import SERVER_CAUSES

CAUSES = (*FRAME_CAUSES, *SERVER_CAUSES, *ALERTING_CAUSES, *MODEL_CAUSES, *KAFKA_CAUSES)
