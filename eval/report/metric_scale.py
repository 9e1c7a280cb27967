"""How a metric is written: its title, its unit and the digits that carry meaning."""


def metric_title(metric: str) -> str:
    """`PSNR-RGB (dB)` for `psnr-rgb`, `MS-SSIM-RGB (dB)` for `ms-ssim-db-rgb`."""
    name = metric.replace("-db", "").upper()
    return f"{name} ({metric_unit(metric)})" if metric_unit(metric) else name


def metric_unit(metric: str) -> str:
    """`dB`, or nothing for metrics without a unit."""
    return "dB" if metric.startswith("psnr") or "-db" in metric else ""


def metric_digits(metric: str) -> int:
    """Digits after the decimal point."""
    return 2 if metric_unit(metric) or metric.startswith("vmaf") else 4
