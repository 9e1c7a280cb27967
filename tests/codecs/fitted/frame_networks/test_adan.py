import torch

from kodec.codecs.fitted.frame_networks.adan import Adan


def test_first_steps_are_those_of_the_paper_s_recursion() -> None:
    value = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    gradients = [torch.tensor(g, dtype=torch.float64) for g in ([0.5, 1.0], [0.25, -1.0])]
    optimiser = Adan([value], lr=0.1)
    for gradient in gradients:
        value.grad = gradient.clone()
        optimiser.step()
    first, second = gradients
    ahead = second + 0.92 * (second - first)
    mean = (0.98 * 0.02 * first + 0.02 * second) / (1 - 0.98**2)
    change = 0.08 * (second - first) / (1 - 0.92**2)
    square = (0.99 * 0.01 * first**2 + 0.01 * ahead**2) / (1 - 0.99**2)
    expected = torch.tensor([1.0, -2.0], dtype=torch.float64) - 0.1 * first.sign()
    expected = expected - 0.1 * (mean + 0.92 * change) / square.sqrt()
    torch.testing.assert_close(value.detach(), expected, rtol=1e-6, atol=1e-6)


def test_it_finds_a_minimum_and_goes_on_from_a_stored_state() -> None:
    def run(steps: int, broken: bool) -> torch.Tensor:
        value = torch.tensor([3.0, -4.0], requires_grad=True)
        optimiser = Adan([value], lr=0.05)
        for step in range(steps):
            if broken and step == steps // 2:
                state = optimiser.state_dict()
                optimiser = Adan([value], lr=0.05)
                optimiser.load_state_dict(state)
            optimiser.zero_grad()
            (value - torch.tensor([1.0, 2.0])).square().sum().backward()
            optimiser.step()
        return value.detach()

    assert torch.equal(run(40, broken=False), run(40, broken=True))
    assert (run(400, broken=False) - torch.tensor([1.0, 2.0])).abs().max() < 0.2
