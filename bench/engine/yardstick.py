"""What llama.cpp says of the tiny models of enginetest.Cases: engine/testdata/yardstick.json.

usage: yardstick.py FOLDER OUT.json, where FOLDER was filled by `go run ./bench/engine/tiny FOLDER`.

Each file is run twice: as it is, with llama.cpp's 8-bit activations, and with its weights dequantised by the package
gguf, which is independent of ours, and float32 throughout. The second is the reference; how far the first is from it
is written beside it.
"""
import json
import pathlib
import sys

import gguf
import numpy as np

import llama


def to_float32(source, target):
    """Writes the file again with all weights as float32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            if not field.contents():  # the merges: the package writes no empty array, and an unused merge does no harm
                writer.add_key_value(key, ["a b"], gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.STRING)
                continue
            writer.add_key_value(key, field.contents(), gguf.GGUFValueType.ARRAY, sub_type=field.types[-1])
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(path, ids):
    model = llama.Model(path, repack=False)
    context = llama.Context(model, 256, 1, exact=True)
    out = context.prompt(ids, every=True).astype(np.float64)
    context.close()
    model.close()
    return out


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def main(folder, out):
    folder, cases = pathlib.Path(folder), []
    for case in json.loads((folder / "cases.json").read_text()):
        plain = str(folder / "f32.gguf")
        pathlib.Path(plain).unlink(missing_ok=True)
        to_float32(case["file"], plain)
        exact, shipped = logits(plain, case["ids"]), logits(case["file"], case["ids"])
        p, q = log_softmax(exact), log_softmax(shipped)
        cases.append({
            "name": case["name"],
            "last": [round(float(x), 5) for x in exact[-1]],
            "log_z": [round(float(x), 5) for x in (exact[:, 0] - p[:, 0])],
            "shipped_kl_max": float(f"{max((np.exp(p) * (p - q)).sum(-1)):.2g}"),
        })
        print(f"{case['name']:36} rms logit {np.sqrt((exact ** 2).mean()):.3f}, file as it is: KL up to {cases[-1]['shipped_kl_max']:.2g}")
    lines = ",\n".join(json.dumps(c) for c in cases)
    version = getattr(llama.lib, "__version__", "unknown")
    pathlib.Path(out).write_text(f'{{"made_with": "llama-cpp-python {version}",\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
