package longattn

/*
#include <longattn.h>

// Makes the input, so that no Go pointer has to be stored for C.
static longattn_status score(const longattn_scorer *scorer, const char *text, size_t text_length, const uint32_t *ids,
                             size_t id_count, const longattn_cancel *cancel, longattn_head_score *heads,
                             size_t head_capacity, longattn_score *score, longattn_error **error) {
    longattn_input input = {text, text_length, ids, id_count};
    return longattn_scorer_score(scorer, &input, cancel, heads, head_capacity, score, error);
}

static longattn_status score_profile(const longattn_scorer *scorer, const uint32_t *ids, size_t id_count,
                                     const longattn_cancel *cancel, longattn_distance_profile *profile,
                                     longattn_score *score, longattn_error **error) {
    longattn_input input = {NULL, 0, ids, id_count};
    return longattn_scorer_score_profile(scorer, &input, cancel, profile, score, error);
}

static longattn_status score_layers(const longattn_scorer *scorer, const uint32_t *ids, size_t id_count,
                                    const longattn_cancel *cancel, longattn_layer_score *layers, size_t layer_capacity,
                                    longattn_score *score, longattn_error **error) {
    longattn_input input = {NULL, 0, ids, id_count};
    return longattn_scorer_score_layers(scorer, &input, cancel, layers, layer_capacity, score, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"strconv"
	"unsafe"
)

// A Scorer is an open scorer package: a model, its tokenizer, and a pool of threads. Open it once and keep it: it holds
// all of the model in memory. Any number of goroutines may use it at once, and get the same bits as one alone.
type Scorer struct{ owned *owner[*C.longattn_scorer] }

// A Score is the score of one window.
type Score struct {
	TokenCount  uint64 // tokens scored, special ones included
	MinDistance uint64 // shortest distance that counted as far, in tokens
	SinkTokens  uint64 // first positions that never counted as far
	HeadCount   uint64 // heads that were scored
	Rows        uint64 // rows of attention that are known: TokenCount, or fewer where the setting rows asked for an estimate

	DependencyStrength     float64 // DS, from 0 to 1; larger reaches farther
	DistributionUniformity float64 // DU, at most 0; larger is more even

	// The mean over heads of the squares of far weights, summed over a token's and averaged over tokens; from 0 to
	// DependencyStrength, larger is more concentrated.
	FarSquareMass float64

	DependencyStrengthError     float64 // standard error of DS; 0 where all rows are known
	DistributionUniformityError float64 // standard error of DU; 0 where all rows are known

	// Tokens at the end of the window past the positions that the model was trained for, whose attention is a guess; 0 where
	// the model does not tell.
	UntrainedTokens uint64
}

// A HeadScore is what one head says of a window.
type HeadScore struct {
	Proportion float64 // mean share of a token's attention that reaches far back, from 0 to 1
	Variance   float64 // variance of the far weights, at least 0; smaller is more even
}

// A LayerScore is what one of several layers that are scored together says of a window.
type LayerScore struct {
	Layer                  int     // 0 for the first of the model
	DependencyStrength     float64 // DS of this layer alone
	DistributionUniformity float64 // DU of this layer alone
	FarSquareMass          float64 // far square mass of this layer alone
}

// A Result is what became of one of many windows: a score, or an error.
type Result struct {
	Score Score
	Err   error
}

// Open opens a scorer package: a directory with model.onnx and tokenizer.json, as `longattn export` makes it, or a bare
// model.onnx, which scores token ids alone unless a tokenizer.json lies beside it. The files are not needed afterwards.
//
// It fails with ErrRuntime where ONNX Runtime cannot be loaded, and with ErrIO, ErrInvalidModel or ErrUnsupported for a
// package that is missing, damaged, or of a kind that this version cannot use.
func Open(path string, options ...Option) (*Scorer, error) {
	config, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	defer C.longattn_config_free(config)
	name, length := chars(path)
	var opened *C.longattn_scorer
	var failure *C.longattn_error
	C.longattn_scorer_open(name, length, config, &opened, &failure)
	if err := take(failure); err != nil {
		return nil, err
	}
	scorer := new(Scorer)
	scorer.owned = own(scorer, "scorer of "+path, opened, func(opened *C.longattn_scorer) { C.longattn_scorer_free(opened) })
	return scorer, nil
}

// Close lets go of the model. It does not wait: calls that are running end as if nothing had happened, and the memory is
// freed with the last of them. Later calls, Close among them, give [ErrClosed].
func (s *Scorer) Close() error { return s.owned.close() }

// ScoreText scores a text as one window: its first tokens, up to the setting window, special ones included. It stops
// early when the context ends.
//
// It fails with ErrInvalidUTF8, with ErrTooShort below 2 tokens, with ErrUnsupported where the package has no tokenizer,
// with ErrMemoryLimit for attention maps larger than the setting memory_limit, with ErrNonFinite for damaged weights,
// with ErrRuntime where ONNX Runtime fails, with ErrCancelled, and with [ErrClosed].
func (s *Scorer) ScoreText(ctx context.Context, text string) (Score, error) {
	return s.score(ctx, textInput(text), nil)
}

// ScoreTokens scores token ids as one window. They are framed by the special tokens that the tokenizer adds, and cut to
// the setting window in all.
//
// It fails as ScoreText does, and with ErrInvalidArgument for an id outside the model's vocabulary.
func (s *Scorer) ScoreTokens(ctx context.Context, ids []uint32) (Score, error) {
	return s.score(ctx, tokenInput(ids), nil)
}

// ScoreHeads scores token ids as ScoreTokens does, and tells what each head says, in the model's order. Where the model
// does not tell how many heads it has before it is run, this runs it twice.
func (s *Scorer) ScoreHeads(ctx context.Context, ids []uint32) (Score, []HeadScore, error) {
	count, err := s.headCount(ctx, ids)
	if err != nil {
		return Score{}, nil, err
	}
	heads := make([]C.longattn_head_score, count)
	score, err := s.score(ctx, tokenInput(ids), heads)
	if err != nil {
		return Score{}, nil, err
	}
	return score, headScores(heads), nil
}

func (s *Scorer) headCount(ctx context.Context, ids []uint32) (count uint64, err error) {
	err = s.owned.use(func(scorer *C.longattn_scorer) error {
		count = uint64(C.longattn_scorer_head_count(scorer))
		return nil
	})
	if err != nil || count > 0 {
		return count, err
	}
	score, err := s.ScoreTokens(ctx, ids)
	return score.HeadCount, err
}

// ScoreProfile scores token ids as ScoreTokens does, and tells how far back attention reaches: the mean share of a token's
// attention by distance, in buckets that begin at powers of two. Bucket 0 is the distance 0, a token's attention to
// itself, and the others are 1, 2 to 3, 4 to 7 and so on, up to the longest distance in the window. The sum from a bucket on
// is DS for the min_distance at which the bucket begins; sink_tokens are in no bucket.
//
// It fails as ScoreTokens does, and with ErrInvalidSetting where the scorer was opened without the setting profile at true.
func (s *Scorer) ScoreProfile(ctx context.Context, ids []uint32) (score Score, profile []float64, err error) {
	input := tokenInput(ids)
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		var profiled C.longattn_distance_profile
		var scored C.longattn_score
		var failure *C.longattn_error
		C.score_profile(scorer, input.ids, input.id_count, cancel, &profiled, &scored, &failure)
		if err := take(failure); err != nil {
			return err
		}
		score = scoreOf(&scored)
		for _, share := range profiled.shares[:profiled.bucket_count] {
			profile = append(profile, float64(share))
		}
		return nil
	})
	return score, profile, err
}

// ScoreLayers scores token ids as ScoreTokens does, and tells what each layer says, in the order of the package.
//
// It fails as ScoreTokens does, and with ErrUnsupported where the model does not tell its layers.
func (s *Scorer) ScoreLayers(ctx context.Context, ids []uint32) (score Score, layers []LayerScore, err error) {
	input := tokenInput(ids)
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		found := make([]C.longattn_layer_score, C.longattn_scorer_layer_count(scorer))
		var scored C.longattn_score
		var failure *C.longattn_error
		C.score_layers(scorer, input.ids, input.id_count, cancel, unsafe.SliceData(found), C.size_t(len(found)), &scored,
			&failure)
		if err := take(failure); err != nil {
			return err
		}
		score = scoreOf(&scored)
		for _, layer := range found {
			layers = append(layers, LayerScore{
				Layer:                  int(layer.layer),
				DependencyStrength:     float64(layer.dependency_strength),
				DistributionUniformity: float64(layer.distribution_uniformity),
				FarSquareMass:          float64(layer.far_square_mass),
			})
		}
		return nil
	})
	return score, layers, err
}

// Losses tells the losses of the tokens of one window, framed and cut as ScoreTokens does: the negative log-likelihood in nats
// of each token but the first, given those before it, by all layers of the model.
//
// It fails as ScoreTokens does, and with ErrUnsupported where the package tells no losses.
func (s *Scorer) Losses(ctx context.Context, ids []uint32) (losses []float32, err error) {
	setting, err := s.Setting("window")
	if err != nil {
		return nil, err
	}
	window, err := strconv.Atoi(setting)
	if err != nil {
		return nil, err
	}
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		losses = make([]float32, window)
		var count C.size_t
		var failure *C.longattn_error
		C.longattn_scorer_losses(scorer, (*C.uint32_t)(unsafe.SliceData(ids)), C.size_t(len(ids)), cancel,
			(*C.float)(unsafe.SliceData(losses)), C.size_t(window), &count, &failure)
		losses = losses[:count]
		return take(failure)
	})
	return losses, err
}

// InformationGain tells how much lower the loss of a token is, in nats, when the model sees the whole window before it than when
// it sees only the last 128 to 255 tokens: the mean over the tokens from the 256th on, counted from 0. It may be negative.
//
// It fails as Losses does, and with ErrTooShort below 257 tokens.
func (s *Scorer) InformationGain(ctx context.Context, ids []uint32) (gain float64, err error) {
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		var found C.double
		var failure *C.longattn_error
		C.longattn_scorer_information_gain(scorer, (*C.uint32_t)(unsafe.SliceData(ids)), C.size_t(len(ids)), cancel, &found,
			&failure)
		gain = float64(found)
		return take(failure)
	})
	return gain, err
}

// ScoreAll scores texts, each as ScoreText does, on all threads of the scorer. The results are in the order of the texts.
// A text that cannot be scored is no failure of the call: its own result says why.
//
// When the context ends, ScoreAll fails with ErrCancelled, and still returns what was scored until then; the results of
// the other texts have that error.
func (s *Scorer) ScoreAll(ctx context.Context, texts []string) ([]Result, error) {
	return scoreAll(ctx, s, texts, textInput)
}

// ScoreAllTokens scores windows of token ids, each as ScoreTokens does, in the manner of ScoreAll.
func (s *Scorer) ScoreAllTokens(ctx context.Context, windows [][]uint32) ([]Result, error) {
	return scoreAll(ctx, s, windows, tokenInput)
}

// Describe tells of the package, as one JSON object: contract, heads, inputs and outputs, files, and what the model says of
// itself. Later versions may add keys.
func (s *Scorer) Describe() (description json.RawMessage, err error) {
	err = s.owned.use(func(scorer *C.longattn_scorer) error {
		var text C.longattn_text
		var failure *C.longattn_error
		C.longattn_scorer_describe(scorer, &text, &failure)
		if err := take(failure); err != nil {
			return err
		}
		description = json.RawMessage(takeText(&text))
		return nil
	})
	return description, err
}

// Setting returns the value of a setting that the scorer was opened with.
//
// It fails with ErrInvalidSetting for a key that is not one of [Settings].
func (s *Scorer) Setting(key string) (value string, err error) {
	err = s.owned.use(func(scorer *C.longattn_scorer) error {
		config := C.longattn_scorer_config(scorer)
		defer C.longattn_config_free(config)
		name, length := chars(key)
		var text C.longattn_text
		var failure *C.longattn_error
		C.longattn_config_get(config, name, length, &text, &failure)
		if err := take(failure); err != nil {
			return err
		}
		value = takeText(&text)
		return nil
	})
	return value, err
}

func textInput(text string) C.longattn_input {
	data, length := chars(text)
	return C.longattn_input{text: data, text_length: length}
}

// noToken is what no tokens point to, because a nil pointer stands for a text.
var noToken C.uint32_t

func tokenInput(ids []uint32) C.longattn_input {
	if len(ids) == 0 {
		return C.longattn_input{ids: &noToken}
	}
	return C.longattn_input{ids: (*C.uint32_t)(unsafe.SliceData(ids)), id_count: C.size_t(len(ids))}
}

func (s *Scorer) score(ctx context.Context, input C.longattn_input, heads []C.longattn_head_score) (score Score, err error) {
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		var scored C.longattn_score
		var failure *C.longattn_error
		C.score(scorer, input.text, input.text_length, input.ids, input.id_count, cancel,
			unsafe.SliceData(heads), C.size_t(len(heads)), &scored, &failure)
		score = scoreOf(&scored)
		return take(failure)
	})
	return score, err
}

func scoreAll[Window any](ctx context.Context, s *Scorer, windows []Window, input func(Window) C.longattn_input) (
	results []Result, err error) {
	err = s.work(ctx, func(scorer *C.longattn_scorer, cancel *C.longattn_cancel) error {
		// C reads the windows through pointers in an array, which Go allows to those that are pinned.
		var pinner runtime.Pinner
		defer pinner.Unpin()
		inputs := make([]C.longattn_input, len(windows))
		for index, window := range windows {
			inputs[index] = input(window)
			pin(&pinner, &inputs[index])
		}
		scored := make([]C.longattn_result, len(windows))
		var failure *C.longattn_error
		C.longattn_scorer_score_many(scorer, unsafe.SliceData(inputs), C.size_t(len(inputs)), cancel, nil, nil,
			unsafe.SliceData(scored), &failure)
		if err := take(failure); err != nil {
			return err
		}
		results = takeResults(ctx, scored)
		return endOf(ctx)
	})
	return results, err
}

func pin(pinner *runtime.Pinner, input *C.longattn_input) {
	if input.text != nil {
		pinner.Pin(input.text)
	}
	if input.ids != nil {
		pinner.Pin(input.ids)
	}
}

func takeResults(ctx context.Context, scored []C.longattn_result) []Result {
	defer C.longattn_results_free(unsafe.SliceData(scored), C.size_t(len(scored)))
	results := make([]Result, len(scored))
	for index := range scored {
		results[index].Score = scoreOf(&scored[index].score)
		if failure := scored[index].error; failure != nil {
			results[index].Err = withCause(ctx, errorOf(failure))
		}
	}
	return results
}

func scoreOf(score *C.longattn_score) Score {
	return Score{
		TokenCount:                  uint64(score.token_count),
		MinDistance:                 uint64(score.min_distance),
		SinkTokens:                  uint64(score.sink_tokens),
		HeadCount:                   uint64(score.head_count),
		Rows:                        uint64(score.rows),
		DependencyStrength:          float64(score.dependency_strength),
		DistributionUniformity:      float64(score.distribution_uniformity),
		FarSquareMass:               float64(score.far_square_mass),
		DependencyStrengthError:     float64(score.dependency_strength_error),
		DistributionUniformityError: float64(score.distribution_uniformity_error),
		UntrainedTokens:             uint64(score.untrained_tokens),
	}
}

// native is the score as C has it.
func (s Score) native() C.longattn_score {
	return C.longattn_score{
		token_count:                   C.uint64_t(s.TokenCount),
		min_distance:                  C.uint64_t(s.MinDistance),
		sink_tokens:                   C.uint64_t(s.SinkTokens),
		head_count:                    C.uint64_t(s.HeadCount),
		rows:                          C.uint64_t(s.Rows),
		dependency_strength:           C.double(s.DependencyStrength),
		distribution_uniformity:       C.double(s.DistributionUniformity),
		far_square_mass:               C.double(s.FarSquareMass),
		dependency_strength_error:     C.double(s.DependencyStrengthError),
		distribution_uniformity_error: C.double(s.DistributionUniformityError),
		untrained_tokens:              C.uint64_t(s.UntrainedTokens),
	}
}

func headScores(heads []C.longattn_head_score) []HeadScore {
	scores := make([]HeadScore, len(heads))
	for index, head := range heads {
		scores[index] = HeadScore{Proportion: float64(head.proportion), Variance: float64(head.variance)}
	}
	return scores
}
