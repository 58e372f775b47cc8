"""The page on which the audit log is proved: its checks, checkpoints, keys, and how long events are kept."""

from pathlib import Path

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from audit import checkpoints, checks, following, keeping, leaving, sweeper, verify_audit
from audit.access import MANAGE, READ, AuditRequest, only_with, readers_only
from audit.keys import trusted_pem
from audit.models import Check, Checkpoint, Cut, Delivery, Event, Head, Keeping
from audit.nudging import nudge
from audit.proof_forms import HoldForm, KeepingForm
from audit.signing import signers
from audit.tasks import look
from audit.triggers import triggers_missing

#: Rows of each table of the page.
SHOWN = 10


@require_safe
@readers_only
def proof(request: AuditRequest) -> HttpResponse:
    return _page(request)


def _page(
    request: AuditRequest, *, keeping_form: KeepingForm | None = None, hold_form: HoldForm | None = None
) -> HttpResponse:
    state = checks.chain_state()
    deliveries = [(name, Delivery.objects.filter(pk=name).first()) for name in leaving.ways()]
    seen = [(name, each and (each.checkpoint_id, each.failures)) for name, each in deliveries]
    newest = checkpoints.newest()
    etag = following.token(request, state, newest and newest.pk, seen)

    def page() -> HttpResponse:
        kept = Keeping.objects.get()
        context = {
            "state": state,
            "head": Head.objects.get(),
            "oldest": Event.objects.for_lists().order_by("sequence").first(),
            "checks": Check.objects.order_by("-pk")[:SHOWN],
            "checkpoints": Checkpoint.objects.order_by("-pk")[:SHOWN],
            "newest_checkpoint": newest,
            "deliveries": deliveries,
            "key_id": signers()[0].id,
            "keeping": kept,
            "cuts": Cut.objects.order_by("-sequence")[:SHOWN],
            "unguarded": triggers_missing(),
            "may_manage": MANAGE in request.actor.rights,
            "keeping_form": keeping_form or KeepingForm(initial={"days": kept.days}),
            "hold_form": hold_form or HoldForm(),
        }
        status = 422 if keeping_form or hold_form else 200
        return following.show(request, etag, "audit/proof.html", context, in_motion=state.asked_for, status=status)

    return following.follow(request, etag, page) if request.method in ("GET", "HEAD") else page()


@require_POST
@only_with(READ)
def check(request: AuditRequest) -> HttpResponse:
    checks.ask(actor=request.actor)
    nudge(look, "the check of the audit log")
    messages.info(request, "The whole log is being checked. The result appears here.")
    return redirect("audit:proof")


@require_POST
@only_with(READ)
def checkpoint(request: AuditRequest) -> HttpResponse:
    made = checkpoints.make_checkpoint(actor=request.actor)
    sweeper.wake()
    messages.success(request, f"Event {made.sequence} is signed as the newest of the chain.")
    return redirect("audit:proof")


@require_safe
@readers_only
def public_key(request: AuditRequest) -> HttpResponse:
    return _file("audit-public-key.pem", trusted_pem(), "application/x-pem-file")


@require_safe
@readers_only
def verifier(request: AuditRequest) -> HttpResponse:
    return _file("verify_audit.py", Path(verify_audit.__file__).read_text(), "text/x-python; charset=utf-8")


def _file(name: str, text: str, content_type: str) -> HttpResponse:
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(text, content_type=content_type, headers={"Content-Disposition": disposition})


@require_POST
@only_with(MANAGE)
def keep(request: AuditRequest) -> HttpResponse:
    form = KeepingForm(request.POST)
    if not form.is_valid():
        return _page(request, keeping_form=form)
    keeping.keep_for(days=form.cleaned_data["days"], actor=request.actor)
    return redirect("audit:proof")


@require_POST
@only_with(MANAGE)
def hold(request: AuditRequest) -> HttpResponse:
    form = HoldForm(request.POST)
    if not form.is_valid():
        return _page(request, hold_form=form)
    keeping.hold(reason=form.cleaned_data["hold_reason"], actor=request.actor)
    return redirect("audit:proof")


@require_POST
@only_with(MANAGE)
def release(request: AuditRequest) -> HttpResponse:
    keeping.release(actor=request.actor)
    return redirect("audit:proof")
