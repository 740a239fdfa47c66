"""Carries out the steps of plans: one function a step, each harmless when done twice.

Rule: nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sagestead.control import artifacts, staging
from sagestead.control.artifacts import Artifacts
from sagestead.control.log_agent import LogAgent
from sagestead.control.markers import write_marker
from sagestead.control.processing_outputs import ProcessingOutputs
from sagestead.control.reconciler.deployments import Deployments
from sagestead.control.reconciler.errands import Errand, Errands
from sagestead.control.reconciler.trials import Trials
from sagestead.control.staging import Staging
from sagestead.domain.resources import Resource
from sagestead.planning import steps
from sagestead.planning.steps import Collected, Staged, Step
from sagestead.ports import Clock, Engine, Routes
from sagestead.worker.run_folder import RunFolder, write_text


@dataclass(frozen=True, slots=True)
class Effects:
    """What steps act upon."""

    engine: Engine
    routes: Routes
    staging: Staging
    artifacts: Artifacts
    outputs: ProcessingOutputs
    agent: LogAgent
    errands: Errands
    trials: Trials
    deployments: Deployments
    clock: Clock

    def carry_out(self, resource: Resource, step: Step) -> None:
        """Carry out one step for a resource."""
        _BY_STEP[type(step)](self, resource, step)

    def stage_instance(self, endpoint: Resource, step: steps.StageInstance) -> None:
        """Send for the model artifact."""
        work = _later(self.staging.instance, endpoint, step)
        failed = self._staging_failed([step.run_id])
        self.errands.send(Errand("Staging the model", endpoint.key, [step.run_id], work, failed, step.shared))

    def stage_training(self, job: Resource, step: steps.StageTraining) -> None:
        """Send for the input data."""
        work = _later(self.staging.training, job, step)
        failed = self._staging_failed(step.run_ids)
        self.errands.send(Errand("Staging the input data", job.key, step.run_ids, work, failed))

    def stage_transform(self, job: Resource, step: steps.StageTransform) -> None:
        """Send for the model and the input data."""
        work = _later(self.staging.transform, job, step)
        failed = self._staging_failed(step.run_ids)
        self.errands.send(Errand("Staging the input data", job.key, step.run_ids, work, failed))

    def stage_processing(self, job: Resource, step: steps.StageProcessing) -> None:
        """Send for the inputs."""
        work = _later(self.staging.processing, job, step)
        failed = self._staging_failed(step.run_ids)
        self.errands.send(Errand("Staging the inputs", job.key, step.run_ids, work, failed))

    def collect_training(self, job: Resource, step: steps.CollectTraining) -> None:
        """Send the artifacts off."""
        work = _later(self.artifacts.training, job, step)
        failed = self._collecting_failed(step.run_ids[0])
        self.errands.send(Errand("Storing the artifacts", job.key, step.run_ids, work, failed))

    def collect_transform(self, job: Resource, step: steps.CollectTransform) -> None:
        """Send the outputs off."""
        work = _later(self.artifacts.transform, job, self.engine.runs(job.arn), step)
        failed = self._collecting_failed(step.run_ids[0])
        self.errands.send(Errand("Storing the output", job.key, step.run_ids, work, failed))

    def collect_processing(self, job: Resource, step: steps.CollectProcessing) -> None:
        """Send the outputs off."""
        work = _later(self.outputs.collect, job, step)
        failed = self._collecting_failed(step.run_ids[0])
        self.errands.send(Errand("Storing the outputs", job.key, step.run_ids, work, failed))

    def sync_outputs(self, job: Resource, step: steps.SyncOutputs) -> None:
        """Send off what there is; what is missed now is stored later, at the latest at the end."""
        work = _later(self.outputs.sync, job, step)
        self.errands.send(Errand("Storing outputs", job.key, step.run_ids, work, lambda _reason: None))

    def sync_checkpoints(self, job: Resource, step: steps.SyncCheckpoints) -> None:
        """Send the checkpoints off; those of the end are stored, or missed, with the artifacts."""
        work = _later(self.artifacts.checkpoints, job, step)
        missed = _later(self.artifacts.miss_checkpoints, step)
        self.errands.send(
            Errand("Storing checkpoints", job.key, step.run_ids, work, lambda _reason: missed())
        )

    def launch(self, resource: Resource, step: steps.Launch) -> None:
        """Start the run and carry its log."""
        self.engine.ensure(step.run_id, step.spec)
        self.agent.follow(resource, step.run_id)

    def stop(self, _resource: Resource, step: steps.Stop) -> None:
        """Ask the run to end."""
        self.engine.stop(step.run_id, step.grace)

    def share_threads(self, _resource: Resource, step: steps.ShareThreads) -> None:
        """Leave word in the runs' folders."""
        for run_id in step.run_ids:
            write_text(RunFolder(self.engine.folder(run_id)).threads, str(step.threads))

    def forget(self, _resource: Resource, step: steps.Forget) -> None:
        """Remove the run, what it wrote last being carried first; again after an errand that works there."""

        def remove() -> None:
            self.engine.stop(step.run_id, 0)
            self.agent.drain(step.run_id)
            self.agent.release(step.run_id)
            self.engine.forget(step.run_id)

        self.errands.after(step.run_id, remove)

    def publish(self, _resource: Resource, step: steps.PublishRoute) -> None:
        """Let requests go there."""
        self.routes.publish(step.route)

    def withdraw(self, endpoint: Resource, _step: steps.WithdrawRoute) -> None:
        """Let requests go nowhere."""
        self.routes.withdraw(endpoint.key.account, endpoint.key.region, endpoint.key.name)

    def launch_trial(self, job: Resource, step: steps.LaunchTrial) -> None:
        """Create the training job of a trial."""
        self.trials.launch(job, step)

    def stop_trial(self, job: Resource, step: steps.StopTrial) -> None:
        """Ask the training job of a trial to end."""
        self.trials.stop(job, step)

    def claim_rule(self, package: Resource, step: steps.ClaimRule) -> None:
        """Have the group know of an approval."""
        self.deployments.claim(package, step)

    def deploy_package(self, package: Resource, step: steps.DeployPackage) -> None:
        """Ask an endpoint to serve a package."""
        self.deployments.deploy(package, step)

    def _staging_failed(self, run_ids: Sequence[str]) -> Callable[[str], None]:
        def surrender(reason: str) -> None:
            staged = Staged(self.clock(), error=reason)
            for run_id in run_ids:
                write_marker(self.engine.folder(run_id) / staging.MARKER, staged.to_json())

        return surrender

    def _collecting_failed(self, run_id: str) -> Callable[[str], None]:
        def surrender(reason: str) -> None:
            collected = Collected(self.clock(), error=reason)
            write_marker(self.engine.folder(run_id) / artifacts.MARKER, collected.to_json())

        return surrender


def _later(work: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: work(*arguments)


_BY_STEP: Mapping[type, Callable[[Effects, Resource, Any], None]] = MappingProxyType(
    {
        steps.StageInstance: Effects.stage_instance,
        steps.StageTraining: Effects.stage_training,
        steps.StageTransform: Effects.stage_transform,
        steps.StageProcessing: Effects.stage_processing,
        steps.CollectProcessing: Effects.collect_processing,
        steps.SyncOutputs: Effects.sync_outputs,
        steps.CollectTraining: Effects.collect_training,
        steps.CollectTransform: Effects.collect_transform,
        steps.SyncCheckpoints: Effects.sync_checkpoints,
        steps.Launch: Effects.launch,
        steps.Stop: Effects.stop,
        steps.ShareThreads: Effects.share_threads,
        steps.Forget: Effects.forget,
        steps.PublishRoute: Effects.publish,
        steps.WithdrawRoute: Effects.withdraw,
        steps.LaunchTrial: Effects.launch_trial,
        steps.StopTrial: Effects.stop_trial,
        steps.ClaimRule: Effects.claim_rule,
        steps.DeployPackage: Effects.deploy_package,
    }
)
