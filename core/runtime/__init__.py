"""The little that Pykka lacks: envelopes, addresses, mailboxes, timers, one failure policy, traces.

No other package of the project imports Pykka.
Start with `Actor`, then `Runtime`; docs/runtime.md says what is guaranteed.
"""

from core.messages.base import (
    ActorDied,
    ActorFailed,
    BatchEnd,
    Lane,
    Message,
    MessageUndeliverable,
    Ping,
    Pong,
    Tick,
)
from core.messages.envelope import Envelope
from core.model.health import ActorHealth
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import Clock, SystemClock, VirtualClock, token
from core.runtime.current import current_actor
from core.runtime.deadletters import DeadLetter, DeadLetters, Reason
from core.runtime.errors import (
    AbortBatch,
    AskFailed,
    BlockingCallError,
    HandlerFailed,
    NotDelivered,
    OutOfReach,
    UnknownMessage,
)
from core.runtime.failures import FailureLimits
from core.runtime.futures import ReplyFuture
from core.runtime.interpreter import freeze_start, tune_interpreter
from core.runtime.mailbox import Mailbox, Verdict
from core.runtime.redaction import render, scrub
from core.runtime.reply import ReplyBox
from core.runtime.runtime import Runtime
from core.runtime.stepping import StepRuntime
from core.runtime.threads import ThreadRuntime
from core.runtime.timers import Timers
from core.runtime.trace import Outcome, Tracer, TraceRecord
from core.runtime.trace_view import TraceNode, causal_tree, mermaid, tree_text

__all__ = [
    "AbortBatch",
    "Actor",
    "ActorDied",
    "ActorFailed",
    "ActorHealth",
    "Address",
    "AskFailed",
    "BatchEnd",
    "BlockingCallError",
    "Clock",
    "DeadLetter",
    "DeadLetters",
    "Envelope",
    "FailureLimits",
    "HandlerFailed",
    "Lane",
    "Mailbox",
    "Message",
    "MessageUndeliverable",
    "NotDelivered",
    "OutOfReach",
    "Outcome",
    "Ping",
    "Pong",
    "Reason",
    "ReplyBox",
    "ReplyFuture",
    "Runtime",
    "StepRuntime",
    "SystemClock",
    "ThreadRuntime",
    "Tick",
    "Timers",
    "TraceNode",
    "TraceRecord",
    "Tracer",
    "UnknownMessage",
    "Verdict",
    "VirtualClock",
    "causal_tree",
    "current_actor",
    "freeze_start",
    "mermaid",
    "render",
    "scrub",
    "token",
    "tree_text",
    "tune_interpreter",
]
