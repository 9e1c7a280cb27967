"""Encoder logs as their programs print them, with numbers of one's choice."""

import math
from collections.abc import Sequence

Planes = tuple[float, float, float]

LOSSLESS = 999.99


def combined(planes: Sequence[Planes], weights: tuple[int, int, int] = (4, 1, 1)) -> float:
    """VTM's YUV-PSNR of frames' planes: of the mean over frames of the weighted MSE."""
    error = 0.0
    for frame in planes:
        errors = [0.0 if psnr == LOSSLESS else 10 ** (-psnr / 10) for psnr in frame]
        error += sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights)
    return -10 * math.log10(error / len(planes)) if error else LOSSLESS


def mean(planes: Sequence[Planes]) -> list[float]:
    """Each plane's mean over frames."""
    return [math.fsum(frame[i] for frame in planes) / len(planes) for i in range(3)]


def vtm_pictures(planes: Sequence[Planes], bits: Sequence[int], qp: int, layer: int = 0) -> str:
    lines = []
    for poc, (frame, size) in enumerate(zip(planes, bits, strict=True)):
        kind = "IDR_N_LP, I" if poc == 0 else "TRAIL, b" if poc % 2 else "TRAIL, P"
        y, u, v = frame
        lines.append(
            f"POC {poc:4} LId: {layer:2} TId: {0} ( {kind}-SLICE, QP {qp} ) {size:10} bits "
            f"[Y {y:6.4f} dB    U {u:6.4f} dB    V {v:6.4f} dB] [ET {1:5} ] [L0] [L1]\n"
        )
    return "".join(lines)


def vtm_summary(
    planes: Sequence[Planes], kbps: float, tag: str = "a", weights: tuple[int, int, int] = (4, 1, 1)
) -> str:
    """The current format, left-justified (VTM 8 and later)."""
    y, u, v = mean(planes)
    return (
        "\tTotal Frames |  Bitrate      Y-PSNR   U-PSNR   V-PSNR   YUV-PSNR \n"
        f"\t{len(planes):<12} {tag}  {kbps:<12.4f} {y:<8.4f}  {u:<8.4f} {v:<8.4f} "
        f"{combined(planes, weights):<8.4f}  \n"
    )


def vtm_log(
    planes: Sequence[Planes],
    bits: Sequence[int],
    qp: int,
    fps: float = 30,
    version: str = "23.1",
    weights: tuple[int, int, int] = (4, 1, 1),
) -> str:
    """A whole log of VTM at its default verbosity."""
    kbps = sum(bits) * fps / len(bits) / 1000
    return (
        f"\nVVCSoftware: VTM Encoder Version {version} [Linux][GCC 12.2.0][64 bit] [SIMD=AVX2] \n\n"
        "TOOL CFG: IBD:1 HAD:1 RDQ:1 \n\n\n started @ Sat Nov 21 01:30:56 2026\n"
        + vtm_pictures(planes, bits, qp)
        + "\nLayerId  0\n"
        + vtm_summary(planes, kbps, weights=weights)
        + "\n finished @ Sat Nov 21 01:32:49 2026\n"
        " Total Time:      102.155 sec. [user]      113.624 sec. [elapsed]\n"
    )


def hm_log(
    planes: Sequence[Planes], bits: Sequence[int], qp: int, fps: float = 30, program: str = "HM"
) -> str:
    """A whole log of HM, or of VTM up to 6 (`program` "VTM"), right-justified, all summaries."""
    kbps = sum(bits) * fps / len(bits) / 1000
    head = {
        "HM": "HM software: Encoder Version [16.20] (including RExt)[Linux][GCC 9.4.0][64 bit] \n",
        "VTM": "VVCSoftware: VTM Encoder Version 6.0 [Linux][GCC 9.4.0][64 bit] \n",
    }[program]
    text = head + "\nReal     Format                    : 64x32 30Hz\n"
    for poc, (frame, size) in enumerate(zip(planes, bits, strict=True)):
        y, u, v = frame
        kind = "I" if poc == 0 else "B"
        text += (
            f"POC {poc:4} TId: {0} ( {kind}-SLICE, nQP {qp} QP {qp} ) {size:10} bits "
            f"[Y {y:6.4f} dB    U {u:6.4f} dB    V {v:6.4f} dB] [ET {1:5.0f} ] [L0 ] [L1 ] "
            "[MD5:bd910e220195dd979ac244f15f327257]\n"
        )
    header = "\tTotal Frames |   Bitrate     Y-PSNR    U-PSNR    V-PSNR    YUV-PSNR \n"
    for title, tag, frames in (
        ("SUMMARY ", "a", list(planes)),
        ("I Slices", "i", list(planes)[:1]),
        ("P Slices", "p", []),
        ("B Slices", "b", list(planes)[1:]),
    ):
        text += f"\n\n{title}-----------------------\n{header}"
        if frames:
            y, u, v = mean(frames)
            rate = kbps if tag == "a" else kbps * 1.7
            text += (
                f"\t {len(frames):8}    {tag} {rate:12.4f}  {y:8.4f}  {u:8.4f}  {v:8.4f}  "
                f"{combined(frames):8.4f}\n"
            )
        else:
            text += f"\t {0:8}    {tag}         -nan      -nan      -nan      -nan      -nan\n"
    return text + f"\nBytes written to file: {sum(bits) // 8 + 40} ({kbps:.3f} kbps)\n"


def x265_log(frames: int, kbps: float, planes: Planes | None = (40.0, 42.0, 43.0)) -> str:
    """A whole log of x265's command line, with a y4m input; with --psnr if there are planes."""
    text = (
        "y4m  [info]: 1920x1080 fps 30/1 i420p8 frames 0 - 599 of 600\n"
        "raw  [info]: output file: out.hevc\n"
        "x265 [info]: HEVC encoder version 3.5+1-f0c1022b6\n"
        "x265 [info]: build info [Linux][GCC 12.2.0][64 bit] 8bit+10bit+12bit\n"
        "[8.5%] 51/600 frames, 8.30 fps, 9075.10 kb/s, eta 0:01:06\r"
        f"[100.0%] {frames}/{frames} frames, 8.39 fps, {kbps:.2f} kb/s\r"
    )
    counts = {"I": 3, "P": 147, "B": frames - 150}
    for offset, (kind, count) in zip((1.0, 0.0, -0.5), counts.items(), strict=True):
        shown = ""
        if planes is not None:
            y, u, v = (value + offset for value in planes)
            shown = f"  PSNR Mean: Y:{y:.3f} U:{u:.3f} V:{v:.3f}"
        text += f"x265 [info]: frame {kind}: {count:6}, Avg QP:22.41  kb/s: 50202.13{shown}\n"
    end = f"\nencoded {frames} frames in 71.51s (8.39 fps), {kbps:.2f} kb/s, Avg QP:27.27"
    if planes is not None:
        offset = (3 * 1.0 - (frames - 150) * 0.5) / frames
        y, u, v = (value + offset for value in planes)
        end += f", Global PSNR: {(6 * y + u + v) / 8:.3f}"
    return text + end + "\n"


def vvenc_log(planes: Planes, frames: int, kbps: float, qp: int) -> str:
    """A whole log of vvencFFapp."""
    y, u, v = planes
    yuv = combined([planes])
    return (
        "vvencFFapp: VVenC, the Fraunhofer H.266/VVC Encoder, version 1.13.0 [Linux][clang]\n"
        "vvenc [info]: Input File                             : x.y4m\n"
        "vvenc [info]: Real Format                            : 64x32  yuv420p  30 Hz  SDR\n"
        f"vvenc [info]: Frames                                 : encode {frames} frames\n"
        f"vvenc [info]: Rate control                           : QP {qp}\n\n"
        f"vvenc [info]: stats:  50.0% frame=  {frames // 2}/{frames} fps=  4.7 left= 00h:00m"
        f"vvenc [info]: stats: 100.0% frame=  {frames}/{frames} fps=  6.6 left= 00h:00m:00s\n"
        f"vvenc [info]: stats summary: frame= {frames}/{frames} avg_fps= 6.6 avg_bitrate= "
        f"{kbps:.2f} kbps\n"
        "vvenc [info]: stats summary: frame P:   0, kbps:      nan, AvgQP: nan\n\n\n"
        "vvenc [info]:\tTotal Frames |   Bitrate     Y-PSNR    U-PSNR    V-PSNR    YUV-PSNR\n"
        f"vvenc [info]:\t {frames:8}    a {kbps:12.4f}  {y:8.4f}  {u:8.4f}  {v:8.4f}  {yuv:8.4f}\n"
        "\nvvencFFapp [info]: finished @ Wed Dec 25 16:06:19 2024\n"
    )
