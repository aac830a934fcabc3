package text

import "strings"

// refusalReach is how far into a reply, in bytes, a refusal is looked for.
const refusalReach = 200

// Refusal reports whether a reply declines to answer or says that it does not
// know, and by which rule: the language and the phrase, such as "en: i cannot".
// Only the first 200 characters count, only phrases that open a clause, and a
// doubt that is followed by "but …" and an answer is none.
//
// The list covers English, German, French, Spanish, Italian, Portuguese and
// Dutch; the phrases are ours.
func Refusal(reply string) (rule string, refused bool) {
	s := refusalText(reply)
	if s == "" {
		return "", false
	}
	if rule = wholeRefusal(s); rule != "" {
		return rule, true
	}
	if len(s) < len("ich ") {
		return "", false
	}
	rest, led := leadIns(s)
	for range 3 { // an apology may be a sentence of its own
		if p, ok := declines(rest); ok {
			if p.doubt && rescued(rest[len(p.text):]) {
				return "", false
			}
			return p.lang + ": " + p.text, true
		}
		if !led && !disclaimer(rest) {
			break
		}
		i := strings.IndexAny(rest, ".,")
		if i < 0 {
			break
		}
		after := rest[i+1:]
		rest, _ = leadIns(after)
		led = false
	}
	// "…, therefore I cannot answer" at the end of a sentence.
	for _, j := range [...]string{"therefore i cannot ", "therefore, i cannot ", "so i cannot answer", "so i can't answer", "so i am unable to", "thus i cannot ", "and i cannot answer"} {
		if strings.Contains(s, j) {
			return "en: " + strings.TrimSpace(j), true
		}
	}
	return "", false
}

// refusalText returns the lower-cased opening of a reply with plain apostrophes
// and without decoration.
func refusalText(reply string) string {
	reply = strings.TrimLeft(reply, " \n\t\r*_#>\"'“-")
	cut := min(len(reply), refusalReach+refusalReach/4)
	s := strings.ToLower(strings.ToValidUTF8(reply[:cut], ""))
	if strings.Contains(s, "’") {
		s = strings.ReplaceAll(s, "’", "'")
	}
	if cut < len(reply) && len(s) > refusalReach {
		s = strings.ToValidUTF8(s[:refusalReach], "")
	}
	if strings.IndexByte(s, '\n') >= 0 {
		s = strings.ReplaceAll(s, "\n", " ")
	}
	return s
}

// wholeRefusal: replies that are nothing but "unknown".
func wholeRefusal(s string) string {
	if len(s) > 40 {
		return ""
	}
	switch w := strings.Trim(s, " .!?*_\"'()[]"); w {
	case "unknown", "not known", "n/a", "no answer", "no idea", "not sure", "unsure", "uncertain", "idk", "don't know", "i don't know", "none known", "cannot be determined", "can't be determined", "undetermined", "not enough information", "insufficient information", "not specified", "not available", "not applicable", "unanswerable":
		return "en: " + w
	case "unbekannt", "weiß nicht", "keine ahnung":
		return "de: " + w
	case "inconnu", "inconnue", "je ne sais pas":
		return "fr: " + w
	case "desconocido", "no sé", "no lo sé":
		return "es: " + w
	case "sconosciuto", "non lo so", "non so":
		return "it: " + w
	case "desconhecido", "não sei":
		return "pt: " + w
	case "onbekend", "weet ik niet":
		return "nl: " + w
	}
	return ""
}

// leadIns strips the words that may stand before the phrase itself.
func leadIns(s string) (rest string, led bool) {
	for again := true; again; {
		again = false
		s = strings.TrimLeft(s, " ,.;:!*\"")
		for _, w := range [...]string{
			"i'm sorry", "i am sorry", "i'm really sorry", "i apologize", "i apologise", "my apologies", "apologies", "sorry", "unfortunately", "regrettably", "i'm afraid", "i am afraid",
			"i regret", "well", "hmm", "oh", "but", "that", "to say that", "for the confusion", "for any misunderstanding", "for the misunderstanding", "for any confusion", "for the inconvenience", "however", "therefore", "honestly", "to be honest", "hello", "hi",
			"es tut mir leid", "tut mir leid", "entschuldigung", "leider", "aber", "je suis désolé", "je suis désolée", "désolé", "désolée", "malheureusement", "mais",
			"lo siento", "lamentablemente", "desafortunadamente", "pero", "mi dispiace", "purtroppo", "ma", "desculpe", "sinto muito", "infelizmente", "mas", "het spijt me", "helaas", "maar",
		} {
			if t, ok := strings.CutPrefix(s, w); ok && (t == "" || !letterAfter(t, 0) && t[0] != '\'') {
				s, again, led = t, true, true
				break
			}
		}
	}
	return s, led
}

// disclaimer: an opening that tells what the speaker is, with the phrase behind it.
func disclaimer(s string) bool {
	for _, p := range [...]string{"as an ai", "as a language model", "as a large language model", "i am an ai", "i'm an ai", "i am a language model", "i am a large language model", "as a chatbot", "as an assistant", "as a virtual assistant", "i'm just an ai", "i am just an ai",
		"als ki", "als eine ki", "en tant qu'ia", "como ia", "como una ia", "como modelo", "come ia", "como uma ia", "als ai"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

type phrase struct {
	lang, text string
	doubt      bool // a doubt, which "but …" turns into an answer
}

func declines(s string) (phrase, bool) {
	for _, p := range refusals {
		if strings.HasPrefix(s, p.text) && !letterAfter(s, len(p.text)) && !idiom(s[len(p.text):]) {
			return p, true
		}
	}
	return phrase{}, false
}

// idiom: "I can't believe", "I cannot wait" decline nothing.
func idiom(rest string) bool {
	for _, w := range [...]string{" believe", " wait", " help but", " stress", " emphasise", " emphasize", " complain", " imagine"} {
		if strings.HasPrefix(rest, w) {
			return true
		}
	}
	return false
}

// rescued reports whether an answer follows a doubt.
func rescued(s string) bool {
	for _, w := range [...]string{", but", " but ", "; however", ". however", ", however", "my best guess", "my guess", "i think", "i believe", "i would guess", "i'd guess", "i would say", "i'd say", "probably", ", aber", ", mais", ", pero", ", ma ", ", mas ", ", maar"} {
		if i := strings.Index(s, w); i >= 0 {
			tail, _ := leadIns(s[i+len(w):])
			_, again := declines(tail)
			return !again && !offersHelp(tail)
		}
	}
	return false
}

// offersHelp: "but I can help you with …" is no answer.
func offersHelp(s string) bool {
	for _, p := range [...]string{"i can ", "i could ", "i'd be happy", "i would be happy", "i'm happy", "i will ", "you can ", "you could ", "you may ", "please ", "if you "} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// refusals are tried in order, so a longer phrase stands before its prefix.
var refusals = [...]phrase{
	{"en", "i can't say for certain", true}, {"en", "i cannot say for certain", true}, {"en", "i can't be sure", true}, {"en", "i cannot be sure", true},
	{"en", "i can't recall", true}, {"en", "i cannot recall", true}, {"en", "i don't recall", true}, {"en", "i don't remember", true},
	{"en", "i cannot", false}, {"en", "i can not", false}, {"en", "i can't", false},
	{"en", "i am unable to", false}, {"en", "i'm unable to", false}, {"en", "i am not able to", false}, {"en", "i'm not able to", false},
	{"en", "i will not", false}, {"en", "i won't", false}, {"en", "i must decline", false}, {"en", "i have to decline", false}, {"en", "i decline", false}, {"en", "i refuse to", false}, {"en", "i'd rather not", false}, {"en", "i would rather not", false},
	{"en", "i am not programmed to", false}, {"en", "i'm not programmed to", false}, {"en", "i am not allowed to", false}, {"en", "i'm not allowed to", false}, {"en", "i am not comfortable", false}, {"en", "i'm not comfortable", false},
	{"en", "unable to", false}, {"en", "can't answer", false}, {"en", "cannot answer", false},
	{"en", "i do not know", true}, {"en", "i don't know", true}, {"en", "i am not sure", true}, {"en", "i'm not sure", true}, {"en", "i am unsure", true}, {"en", "i'm unsure", true}, {"en", "i am not certain", true}, {"en", "i'm not certain", true},
	{"en", "i am not familiar with", true}, {"en", "i'm not familiar with", true}, {"en", "i am not aware of", true}, {"en", "i'm not aware of", true}, {"en", "i have no idea", true}, {"en", "i have no information", true}, {"en", "i have no knowledge", true}, {"en", "no idea", true},
	{"en", "i do not have", true}, {"en", "i don't have", true}, {"en", "i could not find", true}, {"en", "i couldn't find", true}, {"en", "i am uncertain", true}, {"en", "i'm uncertain", true},
	{"en", "it is impossible to", true}, {"en", "it's impossible to", true}, {"en", "it is not possible to", true}, {"en", "it is unclear", true}, {"en", "it's unclear", true}, {"en", "it is unknown", true}, {"en", "it is not known", true}, {"en", "it cannot be determined", true},
	{"en", "the answer is unknown", true}, {"en", "the answer is not known", true}, {"en", "the answer is unclear", true}, {"en", "the answer cannot be determined", true},
	{"en", "there is no information", true}, {"en", "there is not enough information", true}, {"en", "there isn't enough information", true}, {"en", "there is insufficient information", true}, {"en", "there is no evidence", true}, {"en", "there is no record", true}, {"en", "there is no known", true}, {"en", "there is no way to know", true},
	{"en", "not enough information", true}, {"en", "no information", true},
	{"en", "there is no publicly", true}, {"en", "there is no credible", true}, {"en", "there is no scientific evidence", true}, {"en", "there is no documented", true}, {"en", "there is no reliable", true}, {"en", "there is no mention", true},
	{"en", "the premise of", true}, {"en", "this premise", true}, {"en", "the question contains", true}, {"en", "the question appears to contain", true}, {"en", "the question is incorrect", true}, {"en", "this question is based on", true}, {"en", "the context does not", true}, {"en", "the context doesn't", true}, {"en", "the passage does not", true}, {"en", "the passage doesn't", true}, {"en", "the text does not", true}, {"en", "the text doesn't", true}, {"en", "the provided text does not", true}, {"en", "the provided context does not", true}, {"en", "the provided information does not", true}, {"en", "the provided passage does not", true}, {"en", "the question does not", true}, {"en", "the question is based on", true},
	{"de", "ich kann nicht", false}, {"de", "ich kann diese frage nicht", false}, {"de", "ich kann dir nicht", false}, {"de", "ich kann ihnen nicht", false}, {"de", "das kann ich nicht", false}, {"de", "ich bin nicht in der lage", false}, {"de", "ich darf nicht", false},
	{"de", "ich weiß es nicht", true}, {"de", "ich weiß nicht", true}, {"de", "ich weiss nicht", true}, {"de", "das weiß ich nicht", true}, {"de", "ich bin mir nicht sicher", true}, {"de", "ich bin nicht sicher", true}, {"de", "ich habe keine", true}, {"de", "keine ahnung", true},
	{"fr", "je ne peux pas", false}, {"fr", "je ne suis pas en mesure", false}, {"fr", "je ne suis pas capable", false}, {"fr", "il m'est impossible", false}, {"fr", "je ne sais pas", true}, {"fr", "je ne suis pas sûr", true}, {"fr", "je ne suis pas sûre", true}, {"fr", "je ne connais pas", true}, {"fr", "je n'ai pas", true}, {"fr", "aucune idée", true},
	{"es", "no puedo", false}, {"es", "no me es posible", false}, {"es", "no soy capaz", false}, {"es", "no lo sé", true}, {"es", "no sé", true}, {"es", "no estoy seguro", true}, {"es", "no estoy segura", true}, {"es", "no tengo información", true}, {"es", "no tengo idea", true}, {"es", "desconozco", true},
	{"it", "non posso", false}, {"it", "non sono in grado", false}, {"it", "non lo so", true}, {"it", "non so", true}, {"it", "non sono sicuro", true}, {"it", "non sono sicura", true}, {"it", "non ho informazioni", true}, {"it", "non ho idea", true},
	{"pt", "não posso", false}, {"pt", "eu não posso", false}, {"pt", "não consigo", false}, {"pt", "não sou capaz", false}, {"pt", "não sei", true}, {"pt", "eu não sei", true}, {"pt", "não tenho certeza", true}, {"pt", "não tenho informações", true}, {"pt", "não faço ideia", true},
	{"nl", "ik kan niet", false}, {"nl", "ik kan deze vraag niet", false}, {"nl", "ik kan je niet", false}, {"nl", "ik weet het niet", true}, {"nl", "ik weet niet", true}, {"nl", "ik ben niet zeker", true}, {"nl", "geen idee", true},
}
