"""A tiny ESRGAN as a file. Python's own library alone."""
import json
import random
import struct


def write_upscaler(path, doublings, channels=8):
    """Of one block; each doubling makes an image twice as large."""
    draw = random.Random(doublings)
    layers = [("conv_first", channels, 3)]
    for dense in range(1, 4):
        for number in range(1, 6):
            layers.append((f"body.0.rdb{dense}.conv{number}", channels, channels * number))
    layers.append(("conv_body", channels, channels))
    layers += [(f"conv_up{number + 1}", channels, channels) for number in range(doublings)]
    layers += [("conv_hr", channels, channels), ("conv_last", 3, channels)]
    tensors, data = {}, b""
    for name, outputs, inputs in layers:
        for part, shape, deviation in (("weight", [outputs, inputs, 3, 3], (9 * inputs) ** -0.5), ("bias", [outputs], 0.1)):
            count = outputs * inputs * 9 if part == "weight" else outputs
            numbers = struct.pack(f"<{count}f", *(draw.gauss(0, deviation) for _ in range(count)))
            tensors[f"{name}.{part}"] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
            data += numbers
    head = json.dumps(tensors).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)
