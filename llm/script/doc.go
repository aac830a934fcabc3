// Package script is a model whose replies are written down: for demonstrations
// and for tests of behaviour. It imports llm and a YAML parser.
//
// # The file
//
// `--model script:FILE` reads YAML (or JSON, which is YAML but for escapes of
// surrogate pairs). The first rule whose conditions all hold gives the reply;
// if none holds, the call fails and says which prompt found no rule.
//
//	name: geography          # of the model; default: the file's name without suffix
//	abilities: [logprobs]    # default: what the replies show (see below)
//	rules:
//	  - when:                    # every condition given has to hold
//	      prompt: capital of France     # the prompt contains this
//	      match: '(?i)capital of \w+'   # the prompt matches this RE2 expression
//	      role: sample                  # the operation's role: answer, sample, judge, …
//	      index: 0                      # the repeat index, or a list of them
//	      kind: generate                # or score
//	      continuation: Paris           # the text to score contains this
//	    reply: Paris             # short for {text: Paris}
//	  - when: {role: sample}
//	    replies:                 # by repeat index, beginning again at the end
//	      - {text: Paris, times: 7, logprob: -0.1}
//	      - text: Lyon
//	        tokens:
//	          - {token: Ly, logprob: -1.2, top: [{token: Par, logprob: -0.5}, {token: Ly, logprob: -1.2}]}
//	          - {token: on, logprob: -0.1, dist: {entropy: 0.3, log_z: 12, kl_uniform: 9.1, vocab: 49152}}
//	  - when: {prompt: 'true or false'}
//	    reply:
//	      error: {status: 429, message: slow down, retry_after: 2s, times: 1}
//	      text: "True"           # what comes once the error has been given `times` times
//	  - reply: I do not know.
//
// The prompt is the text of all messages, one after another with a line break
// between, or the raw prompt. The fields of a reply, each optional:
//
//	text         the answer
//	times        how many indexes in a row give this reply (default 1)
//	tokens       its tokens; without text they are the text
//	logprob      one log-probability for each word of the text, instead of tokens
//	reasoning    reasoning text, kept apart from the answer
//	finish       stop (default), length, tool_calls, content_filter
//	usage        {prompt: 12, completion: 3}; default: words of the prompt, tokens of the answer
//	delay        time to the answer, such as 150ms
//	pace         time between streamed tokens
//	hang         true: never answers, until the call is cancelled
//	error        {status, type, code, message, retry_after, temporary, times, after}
//	raw          the provider's choice object, any YAML value
//
// An error with status 408, 409, 429 or 5xx is temporary unless `temporary`
// says otherwise. `times` is how often it is given for each repeat index
// (default: always); `after` is how many tokens a stream delivers before it.
//
// A token is a word with the blanks before it where tokens are not given.
// max_tokens and stop strings cut a reply as they would a model's; tokens and
// log-probabilities are shown only to a request for them. Scoring needs a rule
// with `kind: score`; its reply's tokens, or `logprob` for each word of the
// continuation, are the result.
//
// Replies depend on the repeat index alone, so the model is seeded. It streams,
// continues raw prompts and takes tools, images and schemas; it has
// log-probabilities, distributions or scores if some reply has. A list of
// abilities replaces this. The file's SHA-256 identifies the model, so that
// nothing remembered about one script is used for another.
package script
