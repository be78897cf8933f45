// Scores from attention maps, and from queries and keys.

#include "support.hpp"

#include <cmath>
#include <limits>

using namespace longattn;

namespace {

constexpr std::size_t heads = 4, key_value_heads = 2, length = 50, head_size = 8;
constexpr double scale = 0.35;

std::vector<float> random_matrices(std::size_t count, std::uint32_t seed) {
    random_numbers random(seed);
    std::vector<float> numbers(count * length * head_size);
    for (float &number : numbers) number = 2 * random.fraction() - 1;
    return numbers;
}

// The map that queries and keys give, in plain float64 arithmetic.
std::vector<float> map_of(const std::vector<float> &queries, const std::vector<float> &keys) {
    std::vector<float> map(heads * length * length);
    for (std::size_t row = 0; row < heads * length; ++row) {
        const std::size_t head = row / length, last = row % length;
        const std::size_t key_head = head / (heads / key_value_heads);
        std::vector<double> weights;
        double sum = 0;
        for (std::size_t column = 0; column <= last; ++column) {
            double logit = 0;
            for (std::size_t place = 0; place < head_size; ++place) {
                logit += double(queries[row * head_size + place]) *
                         double(keys[(key_head * length + column) * head_size + place]);
            }
            weights.push_back(std::exp(scale * logit));
            sum += weights.back();
        }
        for (std::size_t column = 0; column <= last; ++column) {
            map[row * length + column] = static_cast<float>(weights[column] / sum);
        }
    }
    return map;
}

} // namespace

TEST(Statistics, OfAMapAreThoseOfItsQueriesAndKeys) {
    const auto queries = random_matrices(heads, 1), keys = random_matrices(key_value_heads, 2);
    const auto map = map_of(queries, keys);
    const config settings{{"min_distance", "7"}, {"sink_tokens", "2"}};
    const detailed_score streamed =
        score_query_key({queries, heads, keys, key_value_heads, length, head_size, scale}, settings);
    const detailed_score whole = score_map(map, heads, length, settings);
    ASSERT_EQ(streamed.heads.size(), heads);
    ASSERT_EQ(whole.heads.size(), heads);
    for (std::size_t head = 0; head < heads; ++head) {
        EXPECT_NEAR(streamed.heads[head].proportion, whole.heads[head].proportion, 1e-6);
        EXPECT_NEAR(streamed.heads[head].variance, whole.heads[head].variance, 1e-8);
    }
    EXPECT_EQ(whole.score.min_distance, 7U);
    EXPECT_EQ(whole.score.sink_tokens, 2U);
    EXPECT_EQ(whole.score.token_count, length);
    EXPECT_GT(whole.score.dependency_strength, 0);
}

TEST(Statistics, OfAnEvenMapAreKnown) {
    // Both tokens look at the first: one of two rows has its whole weight one token back.
    const std::vector<float> map = {1, 0, 1, 0};
    const detailed_score scored = score_map(map, 1, 2, {{"min_distance", "1"}});
    EXPECT_DOUBLE_EQ(scored.score.dependency_strength, 0.5);
    EXPECT_DOUBLE_EQ(scored.heads[0].proportion, 0.5);
}

TEST(Statistics, NeedArraysOfTheirDimensions) {
    const std::vector<float> map(2 * 3 * 3, 0.5F);
    EXPECT_ERROR(invalid_argument, "map has 18 elements, but 27", score_map(map, 3, 3));
    EXPECT_ERROR(invalid_argument, "map has 18 elements, but 8", score_map(map, 2, 2));
    const std::size_t huge = std::numeric_limits<std::size_t>::max() / 2;
    EXPECT_ERROR(invalid_argument, "map would be larger", score_map(map, huge, huge));
    EXPECT_ERROR(invalid_argument, "queries has 18 elements, but 12", score_query_key({map, 2, map, 2, 3, 2, 1.0}));
    EXPECT_ERROR(invalid_argument, "keys has 18 elements, but 9", score_query_key({map, 2, map, 1, 3, 3, 1.0}));
    EXPECT_ERROR(invalid_argument, "", score_map({}, 0, 3));
    EXPECT_ERROR(too_short, "", score_map(std::vector<float>{1}, 1, 1));
}

TEST(Statistics, NeedNumbers) {
    std::vector<float> map = {1, 0, 0, 0.5F, 0.5F, 0, 0.2F, 0.4F, 0.4F};
    map[6] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_ERROR(non_finite, "head 0", score_map(map, 1, 3, {{"min_distance", "1"}}));
    EXPECT_ERROR(non_finite, "", score_query_key({map, 1, map, 1, 3, 3, 1.0}));
    EXPECT_ERROR(invalid_setting, "", score_map(map, 1, 3, {{"variance_domain", "moon"}}));
}
