from contextlib import ExitStack

from rowcast.folders import INCOMING, PLACES, SCRATCH, emptied, place_of_its_own


def test_a_place_of_its_own_goes_with_its_process(tmp_path):
    with ExitStack() as stack:
        place = place_of_its_own(tmp_path, stack)
        (place / INCOMING / "upload").write_text("half")
        assert (place / SCRATCH).is_dir()
    assert not place.exists()


def test_places_of_others_stay_while_they_live(tmp_path):
    with ExitStack() as first, ExitStack() as second:
        one, two = place_of_its_own(tmp_path, first), place_of_its_own(tmp_path, second)
        assert one != two
        assert one.is_dir()


def test_the_place_of_a_killed_process_is_removed(tmp_path):
    left = tmp_path / PLACES / "1234-killed"
    (left / INCOMING).mkdir(parents=True)
    (left / "lock").touch()
    with ExitStack() as stack:
        place_of_its_own(tmp_path, stack)
        assert not left.exists()


def test_the_only_process_empties_what_it_finds(tmp_path):
    (tmp_path / INCOMING).mkdir()
    (tmp_path / INCOMING / "upload").write_text("half")
    assert list((emptied(tmp_path) / INCOMING).iterdir()) == []
