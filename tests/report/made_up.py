"""A made-up run with everything a report can show: no slide, no training, fixed numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.report.data import (
    Extras,
    Provenance,
    ReportClass,
    ReportData,
    ReportOverlay,
    ReportRegion,
    ReportSystem,
)

CLASSES = (
    ReportClass("DCIS", 1, "#d1495b"),
    ReportClass("invasive carcinoma", 2, "#edae49"),
    ReportClass("benign epithelium", 3, "#00798c"),
    ReportClass("stroma & other", 4, "#8d96a3"),
)
NAMES = tuple(one.name for one in CLASSES)
SKILL = {"U-Net 0.5": 0.72, "U-Net 2": 0.80, "MRN 0.5, 8": 0.83, "HookNet λ=1": 0.86, "HookNet λ=0.75": 0.90}


def counts(rng, skill, *, missed=0.0, absent=()):
    """Made-up counts: of each class a share ``skill`` right, the rest among the other classes."""
    matrix = np.zeros((4, 5), np.int64)
    for row in range(4):
        if row in absent:
            continue
        total = 20_000 + 5_000 * row
        right = np.clip(skill - 0.04 * (3 - row), 0, 1)
        wrong = np.delete(np.arange(1, 5), row)
        shares = rng.dirichlet([2, 1, 3]) * (1 - right - missed)
        matrix[row, 0] = total * missed
        matrix[row, wrong] = total * shares
        matrix[row, row + 1] = total - matrix[row].sum()
    return matrix


def results(systems=SKILL, slides=14):
    """The comparison of made-up systems, on two slides of each of seven patients; the last slide has no grade."""
    rng = np.random.default_rng(11)
    hard = rng.normal(0, 0.05, slides)
    found = []
    for name, skill in systems.items():
        table = {
            f"slide_{number:02d}": counts(
                rng,
                skill + hard[number] + rng.normal(0, 0.02),
                missed=0.01 if name == "U-Net 0.5" else 0,
                absent=(0,) if number % 5 == 0 else (),
            )
            for number in range(slides)
        }
        found.append(System(name, name, None, table))
    patients = {f"slide_{number:02d}": f"patient {number // 2}" for number in range(slides)}
    grades = {f"slide_{number:02d}": "I" if number < 8 else "II" for number in range(slides - 1)}
    return compare(found, NAMES, patients, grades)


def curves(skill, folds=1):
    rng = np.random.default_rng(int(skill * 100))
    epochs = np.arange(1, 31)
    tables = []
    for fold in range(folds):
        f1 = skill * (1 - np.exp(-epochs / 6)) + rng.normal(0, 0.012, 30)
        loss = 1.3 * np.exp(-epochs / 8) + 0.15 + rng.normal(0, 0.02, 30)
        tables.append(pd.DataFrame({"fold": fold, "epoch": epochs, "loss": loss, "validation_macro_f1": f1}))
    return pd.concat(tables, ignore_index=True)


def tissue(height=360, width=480):
    """Something pink with glands in it, and its labels."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    labels = np.full((height, width), 4, np.uint8)
    image = np.full((height, width, 3), (233.0, 186, 210)) + rng.normal(0, 6, (height, width, 1))
    for number in range(14):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(25, 60)
        wave = 1 + 0.15 * np.sin(5 * np.arctan2(y - cy, x - cx) + number)
        distance = np.hypot(x - cx, y - cy) / wave
        labels[distance < r] = 1 + number % 3
        image[distance < r] = (150, 90, 160)
        image[distance < r * 0.4] = (244, 238, 244)
    image += rng.normal(0, 9, (height, width, 1))
    return np.clip(image, 0, 255).astype(np.uint8), labels


def overlay(slide="slide_01"):
    image, truth = tissue()
    annotation = np.zeros_like(truth)
    annotation[60:160, 80:210] = truth[60:160, 80:210]
    annotation[210:300, 260:420] = truth[210:300, 260:420]
    predictions = {}
    for number, name in enumerate(SKILL):
        moved = np.roll(truth, 2 + 3 * (4 - number), axis=1)
        moved[:20] = 0 if number == 0 else moved[:20]
        predictions[name] = moved
    unsure = np.full(truth.shape, 1 + 254 // 2, np.uint8)
    unsure[:20] = 0
    return ReportOverlay(
        slide, image, 2.0, annotation, truth, predictions, "patient 0, fold 1", {"MRN 0.5, 8": unsure}
    )


def regions():
    """The worst and the best part of a slide: of 480 x 360 px a corner is wrong, and nothing is."""
    image, truth = tissue()
    wrong = truth.copy()
    wrong[:90, :120] = 1 + truth[:90, :120] % 4
    place = {"slide": "slide_02", "system": "HookNet λ=0.75", "image": image, "spacing": 0.5, "truth": truth}
    return (
        ReportRegion(kind="worst", x=1024.0, y=2048.0, f1=0.41, prediction=wrong, **place),
        ReportRegion(kind="best", x=0.0, y=512.0, f1=0.99, prediction=truth, **place),
    )


def extras():
    """One row or so of everything that is measured besides overlap."""
    quantity = {"area_mm2": 1.25, "tissue_share": 0.125, "regions": 12, "regions_per_mm2": 1.2}
    levels = np.arange(15) / 15
    return Extras(
        quantities=pd.DataFrame(
            [
                {"system": "U-Net 2", "slide": "slide_01", "class": "DCIS", **quantity,
                 "median_region_mm2": 0.01, "largest_region_mm2": 0.5},
            ]
        ),
        boundaries=pd.DataFrame(
            [
                {"system": "U-Net 2", "experiment": "U-Net 2", "seed": None, "class": "DCIS", "slides": 12,
                 "surface_dice_mean": 0.71, "surface_dice_median": 0.73, "hd95_slides": 11, "hd95_um_median": 42.5},
            ]
        ),
        calibration=pd.DataFrame(
            [
                {"system": name, "experiment": name, "seed": None, "class": one, "ece": 0.05, "pixels": 100,
                 "unpredicted": 0}
                for name in ("U-Net 2", "MRN 0.5, 8")
                for one in ("(top)", "DCIS")
            ]
        ),
        reliability=pd.DataFrame(
            {"system": "U-Net 2", "class": "(top)", "bin": np.arange(15), "low": levels, "high": levels + 1 / 15,
             "confidence": levels + 1 / 30, "accuracy": levels, "pixels": 10 * np.arange(15)}
        ),
        risk=pd.DataFrame(
            [
                {"system": "U-Net 2", "experiment": "U-Net 2", "seed": None, "error": 0.11, "error_least_sure": 0.456,
                 "error_others": 0.0722, "pixels": 100}
            ]
        ),
        risk_curves=pd.DataFrame(
            {"system": "U-Net 2", "level": [100, 200, 255], "kept": [1.0, 0.9, 0.6], "error": [0.11, 1 / 15, 0.0]}
        ),
        objects=pd.DataFrame(
            [{"system": "U-Net 2", "class": "DCIS", "tp": 8, "fp": 2, "fn": 4, "not_judged": 1, "precision": 0.8,
              "recall": 2 / 3, "f1": 8 / 11}]
        ),
    )  # fmt: skip


def provenance():
    return Provenance(
        versions={"hooknet": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
        code={"commit": "0123abcd", "changed since": "nothing"},
        files={"config/datasets.yaml": "ab" * 32},
        seeds={"patch centres": "1"},
        steps=pd.DataFrame(
            [{"step": "train", "jobs": 5, "seconds in all": 1234.5, "largest memory (MiB)": 2048}]
        ),
    )


def report():
    systems = tuple(
        ReportSystem(
            name=name,
            model=name.split()[0],
            spacings=(0.5, 8.0) if "U-Net" not in name else (float(name.split()[1]),),
            loss_weight=float(name.split("=")[1]) if "=" in name else None,
            parameters=50_761_740 + number,
            settings={"patch": "284 px", "batch": "12", "learning rate": "5e-06"},
            curves=curves(skill, folds=2 if number == 4 else 1),
        )
        for number, (name, skill) in enumerate(SKILL.items())
    )
    result = results()
    return ReportData(
        title="Breast tissue, made-up run",
        dataset="14 made-up slides of 7 patients, 0.5 µm/px",
        description="Every number on this page is made up: it shows what a report looks like.",
        classes=CLASSES,
        systems=systems,
        results={"annotated pixels": result},
        slides=pd.DataFrame(
            {
                "slide": [f"slide_{n:02d}" for n in range(14)],
                "patient": [f"patient {n // 2}" for n in range(14)],
                "fold": [n // 2 % 3 for n in range(14)],
                "spacing (µm/px)": 0.2431,
            }
        ),
        overlays=(overlay(), replace(overlay("slide_05"), truth=None, note="")),
        settings={"tissue": "Otsu at 8 µm/px", "border": "white"},
        regions=regions(),
        extras=extras(),
        provenance=provenance(),
        warnings=("slide_03.xml: 2 shapes cross themselves; made valid, 1.2 µm² changed",),
    )
