"""What a network looks like, in words: sizes, hooks, parameters, fields of view. No weights are made."""

from __future__ import annotations

from hooknet.shapes import NetworkSettings, NetworkShape, branch_name, inference_tile, stride_unit
from hooknet.sizes import encoder_sizes
from hooknet.work import multiply_accumulates_per_pixel, parameter_count


def describe(model: str, settings: NetworkSettings, largest_tile: int) -> str:
    """Several lines of text; ``largest_tile`` is what inference may use, in px."""
    shape = NetworkShape(settings)
    spec = shape.patch_spec
    spacings = ", ".join(f"{spacing:g}" for spacing in settings.spacings)
    lines = [
        f"{model}({spacings} µm/px): {parameter_count(shape):,} parameters, {settings.classes} classes",
        f"patch {spec.size} px in, {spec.output_size} px out; batch norm {'on' if settings.batch_norm else 'off'}, "
        f"{settings.activation}, {settings.merge}",
        f"maps of a branch: encoder {encoder_sizes(spec.size, settings.depth, settings.convolutions)}, "
        f"decoder {shape.decoder_sizes()[::-1]} px",
    ]
    for branch, spacing in enumerate(settings.spacings):
        view, weight = shape.fields_of_view[branch], settings.all_loss_weights[branch]
        lines.append(f"{branch_name(branch)}: {spacing:g} µm/px, sees {view:g} µm, loss weight {weight:g}")
    for hook in settings.all_hooks:
        pixel = settings.spacings[hook.target] * 2**hook.target_depth
        lines.append(
            f"hook: {branch_name(hook.source)} decoder depth {hook.source_depth} -> {branch_name(hook.target)} "
            f"depth {hook.target_depth}, both at {pixel:g} µm per feature px, "
            f"{shape.hook_margin(hook)} px cropped from each side"
        )
    tile, stride = inference_tile(
        settings.patch_size, settings.spacings, settings.depth, settings.convolutions, largest_tile
    )
    unit = stride_unit(settings.spacings, settings.depth)
    in_training, in_tile = (multiply_accumulates_per_pixel(shape, size) / 1000 for size in (None, tile))
    lines += [
        f"work: {in_training:,.0f} kMAC per output px in training",
        f"inference: tiles of {tile} px every {stride} px (a multiple of {unit}, so that no seam shows), "
        f"{in_tile:,.0f} kMAC per px of a tile's output",
    ]
    return "\n".join(lines)
