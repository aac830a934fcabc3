package catalog

import (
	"gnothi/eval"
	"gnothi/eval/studies"
)

// Suites lists every study. This is the one place where their names become
// suites.
func Suites() []eval.Suite {
	return []eval.Suite{
		studies.PlainQA(),
		studies.KnowWhatTheyKnow(),
		studies.SelfReflect(),
		studies.SelfFamiliarity(),
		studies.LineOfDuty(),
		studies.ThinkingOutLoud(),
		studies.ConfidenceGap(),
		studies.ICFExam(),
		studies.KnowRL(),
		studies.FirstGenerate(),
		studies.Introspection(),
		studies.BehavioralAwareness(),
		studies.SecurityQuestions(),
		studies.SelfPreference(),
		studies.DebateOverconfidence(),
		studies.DesignedToHallucinate(),
		studies.RoseFrame(),
		studies.ProfoundnessBias(),
		studies.GenerationVerificationGap(),
		studies.SelfPRM(),
		studies.Sharpening(),
		studies.SelfCertaintyBoN(),
		studies.BStar(),
		studies.ConfidenceVsCritique(),
		studies.IfOrElse(),
		studies.SelfContrast(),
		studies.RecursiveCritique(),
		studies.SelfDebiasing(),
		studies.MoralSelfCorrection(),
		studies.ReflectionAgents(),
		studies.SelfImproving(),
		studies.RetryReflected(),
		studies.PerspectiveTaking(),
		studies.PatternReframe(),
		studies.HistoricalAnalogy(),
		studies.SelfPreferenceScore(),
		studies.ExplanationProperties(),
		studies.PretrainingReflection(),
		studies.MistakeLocation(),
		studies.Calibration(),
		studies.Unknowns(),
		studies.Sycophancy(),
		studies.JudgeBiases(),
		studies.SelfExplanation(),
	}
}

// Suite finds a study by name.
func Suite(name string) (eval.Suite, error) {
	var names []string
	for _, s := range Suites() {
		if s.Describe().Name == name {
			return s, nil
		}
		names = append(names, s.Describe().Name)
	}
	return nil, unknown("study", name, names)
}
