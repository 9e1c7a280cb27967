"""Results for tests of reports: curves of a known shape, with or without pictures."""

from pathlib import Path

from kodec.eval import ImageRow, Results, write_results

VALUES = (30.0, 33.0, 36.0, 39.0)
RATES = (0.2, 0.4, 0.8, 1.6)
QUALITIES = (10, 20, 30, 40)


def write_curve(
    folder: Path,
    name: str,
    factor: float = 1.0,
    *,
    lift: float = 0.0,
    pictures: tuple[str, ...] = (),
    ms_ssim: bool = True,
    file: str = "",
) -> Path:
    """A results file whose rates are `factor` times `RATES` and whose PSNRs are `VALUES` raised by
    `lift` dB; picture k of n costs 2 (k + 1) / (n + 1) times that. Returns its path."""
    rates = [factor * rate for rate in RATES]
    values = [value + lift for value in VALUES]
    columns = {"bpp": rates, "psnr-rgb": values}
    if ms_ssim:
        columns["ms-ssim-rgb"] = [0.9, 0.95, 0.98, 0.99]
    rows = [
        ImageRow(
            image=picture,
            quality=quality,
            width=64,
            height=64,
            bytes=round(512 * rate * 2 * (number + 1) / (len(pictures) + 1)),
            bpp=rate * 2 * (number + 1) / (len(pictures) + 1),
            metrics={"psnr-rgb": value},
            encoding_time=0.1,
            decoding_time=0.1,
        )
        for number, picture in enumerate(pictures)
        for quality, rate, value in zip(QUALITIES, rates, values, strict=True)
    ]
    results = Results(
        name=name,
        description=f"{name} on a test",
        results=columns,
        quality=list(QUALITIES) if pictures else [],
        per_image=rows,
        machine={"cpu": "some processor", "threads": 1} if pictures else {},
        notes=["a note of its own"],
    )
    path = folder / (file or f"{len(list(folder.iterdir()))}.json")
    write_results(results, path)
    return path


def write_video(
    folder: Path,
    name: str,
    factor: float = 1.0,
    *,
    sequences: tuple[str, ...] = ("a_64x48_25_3f.mkv", "b_64x48_25_3f.mkv"),
    frames: int = 3,
    fps: tuple[float, ...] = (25.0, 25.0),
) -> Path:
    """A results file of sequences, the second at twice the first one's rate, and so on; each frame
    is half a dB better than the one before it."""
    rows = [
        ImageRow(
            image=sequence,
            quality=quality,
            width=64,
            height=48,
            bytes=round(64 * 48 * frames * rate * factor * number / 8),
            bpp=rate * factor * number,
            metrics={f"psnr-{plane}": value + n for n, plane in enumerate("yuv")},
            encoding_time=0.5,
            decoding_time=0.25,
            frames=frames,
            fps=fps[number - 1],
            colour_format="yuv420p",
            encoding_fps=2.0 * frames,
            decoding_fps=4.0 * frames,
            per_frame={
                "bits": [64 * 48 * rate * factor * number] * frames,
                "psnr-y": [value + (n - (frames - 1) / 2) / 2 for n in range(frames)],
            },
        )
        for number, sequence in enumerate(sequences, start=1)
        for quality, rate, value in zip(QUALITIES, RATES, VALUES, strict=True)
    ]
    points = [rows[n :: len(QUALITIES)] for n in range(len(QUALITIES))]
    columns = {
        "bpp": [sum(row.bpp for row in point) / len(point) for point in points],
        "psnr-y": list(VALUES),
        "encoding_time": [0.5] * len(points),
        "decoding_time": [0.25] * len(points),
    }
    path = folder / f"{name}.json"
    results = Results(name, f"{name} on clips", columns, list(QUALITIES), rows)
    write_results(results, path)
    return path


def write_logs(
    folder: Path, *sequences: str, codec: str = "vtm-17.0_AI", qps: str = "22 37"
) -> Path:
    """Logs of VTM of a picture each, 25 frames a second, 64x64: 0.4 and 0.8 bits a pixel."""
    folder.mkdir(exist_ok=True)
    for number, sequence in enumerate(sequences):
        for qp in map(int, qps.split()):
            bits, y = (3277, 36.0 + number) if qp == 22 else (1638, 33.0 + number)
            (folder / f"{codec}_{sequence}_qp{qp}.log").write_text(
                f"POC    0 LId:  0 TId: 0 ( IDR_N_LP, I-SLICE, QP {qp} ) {bits:>10} bits "
                f"[Y {y} dB    U 40.0 dB    V 40.0 dB] [ET    71 ] [L0] [L1]\n\n"
                "\tTotal Frames |   Bitrate     Y-PSNR    U-PSNR    V-PSNR    YUV-PSNR\n"
                f"\t        1    a     {bits * 25 / 1000}   {y}   40.0   40.0   {y}\n"
            )
    return folder
