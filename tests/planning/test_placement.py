from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.domain.resources import Key, Kind, Resource
from sagestead.planning.placement import PATIENCE, Job, job_of, placed, shared, threads_of


def key(name: str, kind: Kind = Kind.TRAINING_JOB) -> Key:
    return Key(kind, "123456789012", "eu-west-1", name)


def job(name: str, created_at: float, threads: int = 2, *, runs: bool = False) -> Job:
    return Job(key(name), created_at, threads, runs)


def names(*jobs: Job, cores: int = 2, now: float = 10) -> set[str]:
    return {found.name for found in placed(jobs, cores, now)}


def test_the_first_come_run_until_the_cores_are_taken_twice() -> None:
    assert names(job("c", 3), job("a", 1), job("b", 2)) == {"a", "b"}


def test_a_small_job_overtakes_a_big_one_that_has_not_waited_long() -> None:
    jobs = [job("a", 1, 3), job("big", 2, 2), job("small", 3, 1)]
    assert names(*jobs, now=1 + PATIENCE) == {"a", "small"}
    assert names(*jobs, now=2 + PATIENCE) == {"a"}


def test_one_job_runs_whatever_its_size() -> None:
    assert names(job("a", 1, 64), job("b", 2, 1)) == {"a"}


def test_what_runs_keeps_its_place() -> None:
    assert names(job("late", 9, 4, runs=True), job("early", 1)) == {"late"}


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.booleans()), max_size=12),
    st.integers(0, 9),
)
def test_somebody_always_runs_and_too_many_only_when_they_ran_before(
    given_jobs: list[tuple[int, int, bool]], age: int
) -> None:
    jobs = [job(f"{n:02}", at, size, runs=runs) for n, (at, size, runs) in enumerate(given_jobs)]
    found = placed(jobs, 4, age + PATIENCE)
    assert bool(found) == bool(jobs)
    started = [one for one in jobs if one.key in found and not one.runs]
    running = [one for one in jobs if one.runs]
    taken = sum(one.threads for one in started + running)
    if len(started) + len(running) > 1 and started:
        assert taken <= 8
    waiting = [one for one in jobs if one.key not in found]
    patient = [one for one in waiting if one.created_at > age]
    impatient = [one for one in waiting if one.created_at <= age]
    assert all(one.created_at <= other.created_at for one in started for other in impatient)
    first = min((one.created_at for one in impatient), default=99)
    assert all(taken + one.threads > 8 for one in patient if one.created_at < first)


@given(
    st.lists(
        st.tuples(st.floats(0, 2 * PATIENCE), st.integers(1, 9), st.floats(1, PATIENCE)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 4),
)
@settings(deadline=None)
def test_nobody_is_overtaken_once_it_has_waited_for_so_long(
    arrivals: list[tuple[float, int, float]], cores: int
) -> None:
    """Plays a day of jobs: each arrives, waits for its turn, works for its time and ends."""
    jobs = {key(f"{n:02}"): job(f"{n:02}", at, size) for n, (at, size, _) in enumerate(arrivals)}
    lasts = {key(f"{n:02}"): seconds for n, (_, _, seconds) in enumerate(arrivals)}
    started: dict[Key, float] = {}
    moments = sorted({one.created_at for one in jobs.values()})
    while moments:
        now = moments.pop(0)
        there = [
            replace(one, runs=name in started)
            for name, one in jobs.items()
            if one.created_at <= now and started.get(name, now) + lasts[name] > now
        ]
        for name in placed(there, cores, now):
            if name not in started:
                started[name] = now
                moments = sorted({*moments, now + lasts[name]})
    assert started.keys() == jobs.keys()
    for name, one in jobs.items():
        overtaking = [
            started[other]
            for other, later in jobs.items()
            if (later.created_at, other.name) > (one.created_at, name.name) and started[other] < started[name]
        ]
        assert max(overtaking, default=0) < one.created_at + PATIENCE


def test_those_that_run_together_share_the_cores() -> None:
    jobs = [job("a", 1), job("b", 2), job("c", 3)]
    assert [shared(jobs[:count], 2)[key("a")] for count in (1, 2, 3)] == [2, 1, 1]
    wide, narrow = job("wide", 1, 8), job("narrow", 2, 1)
    assert shared([wide, narrow], 8) == {key("wide"): 7, key("narrow"): 1}
    hosts = Job(key("hosts"), 1, 4, runs=True, hosts=2)
    assert shared([hosts, wide], 8) == {key("hosts"): 2, key("wide"): 4}


def resource(kind: Kind, status: str, **detail: object) -> Resource:
    size = {"InstanceType": "ml.m5.large", "InstanceCount": 3}
    spec = {"ResourceConfig": {**size, "InstanceCount": 1}, "TransformResources": size}
    return Resource(key("j", kind), "arn", spec, status, dict(detail), created_at=5.0)


def test_what_a_resource_takes() -> None:
    training, transform = Kind.TRAINING_JOB, Kind.TRANSFORM_JOB
    assert job_of(resource(training, "InProgress", SecondaryStatus="Starting"), 2) == job("j", 5)
    assert job_of(resource(training, "Stopping", SecondaryStatus="Stopping"), 2) == job("j", 5, runs=True)
    assert job_of(resource(training, "Stopping", SecondaryStatus="Starting"), 2) is None
    assert job_of(resource(training, "Completed", SecondaryStatus="Completed"), 2) is None
    assert job_of(resource(transform, "InProgress"), 2) == Job(key("j", transform), 5, 6, runs=False, hosts=3)
    assert job_of(resource(transform, "InProgress", _has_place=True), 1) == Job(
        key("j", transform), 5, 3, runs=True, hosts=3
    )
    processing = resource(Kind.PROCESSING_JOB, "InProgress", _phase="Staging")
    spec = {"ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}}
    place = key("j", Kind.PROCESSING_JOB)
    assert job_of(replace(processing, spec=spec), 4) == Job(place, 5, 4, runs=True, hosts=2)
    assert job_of(replace(processing, spec=spec, detail={}), 4) == Job(place, 5, 4, runs=False, hosts=2)
    assert job_of(resource(Kind.ENDPOINT, "InService"), 2) is None
    assert job_of(Resource(key("j"), "arn", {}, "InProgress"), 2) == job("j", 0)


def test_no_nominal_size_makes_a_job_impossible() -> None:
    for name in ("ml.p5.48xlarge", "ml.m5.24xlarge", "local", "ml.none.such", ""):
        size = {"ResourceConfig": {"InstanceType": name, "InstanceCount": 100}}
        huge = job_of(replace(resource(Kind.TRAINING_JOB, "InProgress"), spec=size), 2)
        assert huge is not None
        assert names(huge) == {"j"}
        assert shared([huge], 2)[huge.key] == 1


def test_trials_side_by_side_share_the_cores() -> None:
    def threads(beside: int, cores: int) -> int:
        trial = resource(Kind.TRAINING_JOB, "InProgress", _Trial={"Beside": beside})
        spec = {"ResourceConfig": {"InstanceType": "ml.m5.2xlarge"}}
        return threads_of(replace(trial, spec=spec), cores)

    assert [threads(1, 2), threads(2, 2), threads(3, 2)] == [2, 1, 1]
    assert [threads(1, 64), threads(3, 64), threads(16, 64)] == [8, 8, 4]
