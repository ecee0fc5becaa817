import pytest

from tests.support.inline import INLINE, TRUTH, settings_for
from tests.support.label_studio_server import LabelStudioServer
from tests.support.need import need
from timeseries_segmenter.settings import Settings
from timeseries_segmenter.storage.model_store import ModelStore
from timeseries_segmenter.trainings.run import TrainingRun


@pytest.fixture
def settings(settings: Settings, studio: LabelStudioServer) -> Settings:
    return settings_for(settings, studio, train_epochs=2)


def test_a_version_knows_what_people_corrected_before_it(
    settings: Settings, studio: LabelStudioServer
) -> None:
    studio.add_task(3, INLINE, TRUTH, lead_time=90.0)
    corrected = studio.add_task(3, INLINE)
    parent = studio.add_prediction(corrected, "p3-v1", result=TRUTH[1:], score=0.5)
    studio.add_prediction(corrected, "of-another-model", result=[], score=0.5)
    studio.annotate(corrected, TRUTH, lead_time=20.0, parent_prediction=parent)
    TrainingRun(settings).run(3)
    card = need(ModelStore(settings).load(3)).card
    without, begun = card.corrected
    assert (without.version, without.annotations, without.seconds) == ("", 1, 90)
    assert (begun.version, begun.added, begun.regions, begun.seconds) == ("p3-v1", 1, len(TRUTH), 20)
    assert need(begun.per_region) == pytest.approx(1 / len(TRUTH), abs=1e-3)


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_corrections_follow_the_annotation(
    settings: Settings, studio: LabelStudioServer, cache_mb: int
) -> None:
    settings = settings.model_copy(update={"cache_mb": cache_mb})

    def added() -> int:
        TrainingRun(settings).run(3)
        (corrected,) = need(ModelStore(settings).load(3)).card.corrected
        return corrected.added

    task = studio.add_task(3, INLINE)
    parent = studio.add_prediction(task, "p3-v1", result=TRUTH[1:], score=0.5)
    studio.annotate(task, TRUTH, parent_prediction=parent)
    assert added() == 1
    studio.change_annotation(task, 0, result=TRUTH[1:])
    assert added() == 0
