#!/bin/bash
# Builds llama-cpp-python from source into a virtual environment: for this CPU, but without AMX, with which the build that
# pip offers crashes at the first quantised file. Needs python3, cmake, a C++ compiler and about ten minutes.
# usage: venv.sh FOLDER
set -euo pipefail
folder=$1
python=$folder/bin/python
if [ -x "$python" ] && "$python" -c 'import llama_cpp, gguf' 2>/dev/null; then
	exit 0
fi
flags="-DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
has() { grep -qw "$1" /proc/cpuinfo; }
has avx512f && flags+=" -DGGML_AVX512=ON"
has avx512_vbmi && flags+=" -DGGML_AVX512_VBMI=ON"
has avx512_vnni && flags+=" -DGGML_AVX512_VNNI=ON"
has avx512_bf16 && flags+=" -DGGML_AVX512_BF16=ON"
python3 -m venv "$folder"
"$python" -m pip install --quiet gguf numpy
CMAKE_ARGS="$flags" "$python" -m pip install --quiet --no-binary llama-cpp-python llama-cpp-python==0.3.36
