"""One thread for torch in every test: simulators, ranks and tests share few cores, and sums keep their order."""

import torch

torch.set_num_threads(1)
