"""llama.cpp through the low-level interface of llama-cpp-python: batches over several sequences and raw logits."""
import ctypes

import llama_cpp as lib
import numpy as np

F32, F16 = 0, 1  # types of the keys and values


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def _silent(level, text, _):
    if level == lib.GGML_LOG_LEVEL_ERROR if hasattr(lib, "GGML_LOG_LEVEL_ERROR") else level == 4:
        print(text.decode(errors="replace"), end="")


lib.llama_log_set(_silent, ctypes.c_void_p(0))
lib.llama_backend_init()


class Model:
    """A file. With repack it may be rearranged for this CPU, which is how users run it."""

    def __init__(self, path, repack=True):
        params = lib.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = repack
        self.handle = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        self.vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.handle))

    def close(self):
        lib.llama_model_free(self.handle)


class Context:
    """A context of a model; exact means float32 keys and values and no flash attention."""

    def __init__(self, model, tokens, threads, sequences=1, exact=False):
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = tokens, 2048, 512, sequences
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = 0 if exact else -1
        params.type_k = params.type_v = F32 if exact else F16
        params.kv_unified, params.no_perf = True, True
        self.model = model
        self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise RuntimeError("llama.cpp cannot make the context")
        self.memory = lib.llama_get_memory(self.handle)
        self.batch = lib.llama_batch_init(2048, 0, max(1, sequences))

    def decode(self, rows):
        """rows of (token, position, sequence, wanted); gives the logits of the wanted ones, a view."""
        batch, wanted = self.batch, 0
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, want) in enumerate(rows):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = want
            wanted += want
        code = lib.llama_decode(self.handle, batch)
        if code:
            raise RuntimeError(f"llama_decode gave {code}")
        if wanted:
            return np.ctypeslib.as_array(lib.llama_get_logits(self.handle), shape=(wanted, self.model.vocab))

    def prompt(self, ids, every=False):
        """Reads a prompt into sequence 0; the logits of its last token, or of every one."""
        return self.decode([(t, i, 0, int(every or i == len(ids) - 1)) for i, t in enumerate(ids)])

    def fork(self, sequence):
        lib.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)

    def clear(self):
        lib.llama_memory_clear(self.memory, True)

    def close(self):
        lib.llama_batch_free(self.batch)
        lib.llama_free(self.handle)
