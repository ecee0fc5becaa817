from tests.support import recorded
from timeseries_segmenter.labeling.config import parse_label_config
from timeseries_segmenter.learning.segmenter import Segmenter
from timeseries_segmenter.project.card import Card, PairCard
from timeseries_segmenter.project.model import Model
from timeseries_segmenter.project.start import lent

CONFIG = recorded.body("predict_json_inline")["label_config"]


def test_a_lent_model_is_by_the_names_here_and_lends_itself_to_each_fold(run_walk: Segmenter) -> None:
    other = Card(pairs={"label:ts": PairCard(folds={"7": 1}, unlabeled="span")})
    config = parse_label_config(CONFIG.replace('"label"', '"mine"'))
    model = lent(Model(other, {"label:ts": run_walk}), config)
    assert model.segmenters == {"mine:ts": run_walk}
    assert set(map(id, model.folds["mine:ts"].values())) == {id(run_walk)}
    assert model.card.pairs["mine:ts"] == PairCard(unlabeled="span")
