import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.data.sizes import largest_size, middle_window, pad_to_size, smallest_size


def test_the_largest_size_holds_the_highest_and_the_widest():
    assert largest_size([(3, 9), (7, 2)]) == (7, 9)


def test_padding_leaves_every_pixel_in_its_place_and_adds_zeros():
    array = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    padded = pad_to_size(array, (4, 5))
    assert padded.shape == (2, 4, 5)
    assert padded.dtype == np.uint8
    np.testing.assert_array_equal(padded[:, :2, :3], array)
    assert padded.sum() == array.sum()


def test_a_copy_is_returned_where_nothing_is_added():
    array = np.ones((2, 3))
    pad_to_size(array, (2, 3))[:] = 0
    assert array.all()


@pytest.mark.parametrize(("shape", "size"), [((3, 3), (2, 5)), ((3, 3), (5, 2)), ((4,), (4, 4))])
def test_what_does_not_fit_is_refused(shape, size):
    with pytest.raises(InputError, match="pad_to_size"):
        pad_to_size(np.zeros(shape), size)


@pytest.mark.parametrize("choose", [largest_size, smallest_size])
def test_no_size_is_refused(choose):
    with pytest.raises(InputError, match="at least one"):
        choose([])


def test_the_smallest_size_fits_into_all():
    assert smallest_size([(3, 9), (7, 2)]) == (3, 2)


def test_the_middle_by_hand():
    array = np.arange(20).reshape(1, 4, 5)
    assert middle_window(array, (2, 3)).tolist() == [[[6, 7, 8], [11, 12, 13]]]
    assert middle_window(array, (3, 4)).tolist() == array[:, :3, :4].tolist()  # two middles: the upper and left one
    assert middle_window(array, (4, 5)).shape == (1, 4, 5)


@pytest.mark.parametrize(("shape", "size"), [((3, 3), (4, 3)), ((3, 3), (3, 4)), ((4,), (1, 1))])
def test_a_window_larger_than_the_picture_is_refused(shape, size):
    with pytest.raises(InputError, match="middle_window"):
        middle_window(np.zeros(shape), size)
