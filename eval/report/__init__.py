"""Reports of rate-distortion results: a page to look at, figures and tables for papers."""

from .crops import (
    Crop,
    CropSet,
    FindCodec,
    PictureChoice,
    data_uri,
    nearest_row,
    show_crops,
)
from .entries import Entry, read_entries
from .figure import figure_of, report_figure
from .frame_plots import FrameLine, FramePlot, frame_plots, plot_svg
from .latex_table import escape_latex, report_latex
from .line_style import ANCHOR_STYLE, DARK, LIGHT, LineStyle, line_style
from .page import report_page
from .report import AgainstAnchor, Report, build_report, picture_comparisons, row_value
from .results_csv import report_csv
from .shown_frames import FindSequenceCodec, show_frames

__all__ = [
    "ANCHOR_STYLE",
    "AgainstAnchor",
    "DARK",
    "LIGHT",
    "Crop",
    "CropSet",
    "Entry",
    "FindCodec",
    "FindSequenceCodec",
    "FrameLine",
    "FramePlot",
    "LineStyle",
    "PictureChoice",
    "Report",
    "build_report",
    "data_uri",
    "escape_latex",
    "figure_of",
    "frame_plots",
    "line_style",
    "nearest_row",
    "picture_comparisons",
    "plot_svg",
    "read_entries",
    "report_csv",
    "report_figure",
    "report_latex",
    "report_page",
    "row_value",
    "show_crops",
    "show_frames",
]
