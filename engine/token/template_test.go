package token_test

import (
	"testing"

	"gnothi/engine/token"
)

// What the published Jinja sources give, rendered by jinja2, for four conversations with and without the prompt for an
// answer. "" is a refusal.
func TestTemplates(t *testing.T) {
	conversations := [][]token.Turn{
		{{Role: "user", Text: "Hello"}},
		{{Role: "user", Text: " Hi \n"}, {Role: "assistant", Text: " Yes. "}, {Role: "user", Text: "é?"}},
		{{Role: "system", Text: "Be brief."}, {Role: "user", Text: "Hello"}},
		{{Role: "user", Text: "a"}, {Role: "assistant", Text: "<think>\nhm\n</think>\n\nb"}, {Role: "user", Text: "c"}, {Role: "assistant", Text: "d"}},
	}
	for name, want := range map[string][][2]string{ // with the prompt, without
		"qwen2": {
			{"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n"},
			{"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n"},
		},
		"chatml": {
			{"<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n"},
			{"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n"},
		},
		"mistral": {
			{"[INST] Hello [/INST]", "[INST] Hello [/INST]"},
			{"[INST]  Hi \n [/INST] Yes. </s>[INST] é? [/INST]", "[INST]  Hi \n [/INST] Yes. </s>[INST] é? [/INST]"},
			{"", ""},
			{"[INST] a [/INST]<think>\nhm\n</think>\n\nb</s>[INST] c [/INST]d</s>", "[INST] a [/INST]<think>\nhm\n</think>\n\nb</s>[INST] c [/INST]d</s>"},
		},
		"gemma": {
			{"<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n", "<start_of_turn>user\nHello<end_of_turn>\n"},
			{"<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n<start_of_turn>user\né?<end_of_turn>\n<start_of_turn>model\n", "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n<start_of_turn>user\né?<end_of_turn>\n"},
			{"<start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n<start_of_turn>model\n", "<start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n"},
			{"<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\n<think>\nhm\n</think>\n\nb<end_of_turn>\n<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\nd<end_of_turn>\n<start_of_turn>model\n", "<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\n<think>\nhm\n</think>\n\nb<end_of_turn>\n<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\nd<end_of_turn>\n"},
		},
		"llama3": {
			{"<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"},
			{"<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\né?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\né?<|eot_id|>"},
			{"<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"},
			{"<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nd<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nd<|eot_id|>"},
		},
		"zephyr": {
			{"<|user|>\nHello</s>\n<|assistant|>\n", "<|user|>\nHello</s>\n"},
			{"<|user|>\n Hi \n</s>\n<|assistant|>\n Yes. </s>\n<|user|>\né?</s>\n<|assistant|>\n", "<|user|>\n Hi \n</s>\n<|assistant|>\n Yes. </s>\n<|user|>\né?</s>\n"},
			{"<|system|>\nBe brief.</s>\n<|user|>\nHello</s>\n<|assistant|>\n", "<|system|>\nBe brief.</s>\n<|user|>\nHello</s>\n"},
			{"<|user|>\na</s>\n<|assistant|>\n<think>\nhm\n</think>\n\nb</s>\n<|user|>\nc</s>\n<|assistant|>\nd</s>\n<|assistant|>\n", "<|user|>\na</s>\n<|assistant|>\n<think>\nhm\n</think>\n\nb</s>\n<|user|>\nc</s>\n<|assistant|>\nd</s>\n"},
		},
		"llama3.1": {
			{"<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"},
			{"<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\né?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\né?<|eot_id|>"},
			{"<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"},
			{"<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nd<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<think>\nhm\n</think>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nd<|eot_id|>"},
		},
		"qwen3": {
			{"<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n Yes. <|im_end|>\n<|im_start|>user\né?<|im_end|>\n"},
			{"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"},
			{"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nd<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nd<|im_end|>\n"},
		},
	} {
		tmpl, err := token.TemplateByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, turns := range conversations {
			for j, prompt := range []bool{true, false} {
				got, err := tmpl.Render(turns, prompt)
				if got != want[i][j] || (err != nil) != (want[i][j] == "") {
					t.Errorf("%s, conversation %d, prompt %v: %q, %v, want %q", name, i, prompt, got, err, want[i][j])
				}
			}
		}
	}
}
