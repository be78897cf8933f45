// Many threads on one scorer, and a scorer that is changed while they score.

#include "support.hpp"

#include <atomic>
#include <cmath>
#include <iostream>
#include <mutex>
#include <thread>

using namespace longattn;

namespace {

constexpr std::size_t thread_count = 8;

// Runs a function on eight threads, which it tells their numbers.
template <class Function>
void run_threads(Function function) {
    std::vector<std::thread> threads;
    for (std::size_t number = 0; number < thread_count; ++number) threads.emplace_back(function, number);
    for (std::thread &thread : threads) thread.join();
}

std::vector<std::string> random_texts(std::size_t count) {
    std::vector<std::string> texts;
    while (texts.size() < count) texts.push_back(random_text(100 + 40 * texts.size(), std::uint32_t(texts.size())));
    return texts;
}

} // namespace

TEST(Threads, GetTheBitsOfOne) {
    for (const char *package : {query_key_package, attentions_package}) {
        const scorer scorer(package);
        const auto texts = random_texts(20);
        std::vector<score> alone;
        for (const std::string &text : texts) alone.push_back(scorer.score(text));
        std::atomic<std::size_t> same = 0;
        run_threads([&](std::size_t number) {
            for (std::size_t index = 0; index < texts.size(); ++index) {
                const std::size_t place = (index + 3 * number) % texts.size();
                same += same_bits(scorer.score(texts[place]), alone[place]);
            }
        });
        EXPECT_EQ(same, thread_count * texts.size()) << package;
    }
}

TEST(Threads, ScoreManyAtOnce) {
    const scorer scorer(query_key_package);
    const auto texts = random_texts(20);
    std::atomic<std::size_t> same = 0;
    run_threads([&](std::size_t) {
        const auto results = scorer.score_many(texts);
        for (std::size_t index = 0; index < texts.size(); ++index) {
            same += same_bits(results[index].value(), scorer.score(texts[index]));
        }
    });
    EXPECT_EQ(same, thread_count * texts.size());
}

TEST(Threads, ScoreOnWhileTheScorerIsChanged) {
    const scorer packages[] = {scorer(bare_encoder), scorer(bare_decoder)};
    const auto ids = random_ids(40, 1);
    const score expected[] = {packages[0].score(ids), packages[1].score(ids)};
    EXPECT_GT(std::abs(expected[0].dependency_strength - expected[1].dependency_strength), 0.1);

    std::mutex mutex;
    scorer current = packages[0];
    std::atomic<std::size_t> found[2] = {}, wrong = 0;
    std::atomic<bool> changing = true;
    std::thread changer([&] {
        for (int change = 1; change <= 50; ++change) {
            // A scorer opened anew each time, so that the one before is freed while threads still use it.
            const scorer next(change % 2 == 0 ? bare_encoder : bare_decoder);
            const std::lock_guard<std::mutex> lock(mutex);
            current = next;
        }
        changing = false;
    });
    run_threads([&](std::size_t) {
        while (changing) {
            const scorer mine = [&] {
                const std::lock_guard<std::mutex> lock(mutex);
                return current;
            }();
            const score score = mine.score(ids);
            const bool first = same_bits(score, expected[0]), second = same_bits(score, expected[1]);
            ++(first ? found[0] : second ? found[1] : wrong);
        }
    });
    changer.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_GT(found[0], 0U);
    EXPECT_GT(found[1], 0U);
    std::cout << found[0] << " scores of one package, " << found[1] << " of the other, by 50 changes\n";
}

TEST(Threads, CancelOneWindowOfAnother) {
    const scorer scorer(query_key_package);
    const std::string text = random_text(32768, 1);
    const cancel stop;
    std::atomic<bool> scored = false;
    std::thread canceller([&] {
        while (!scored) std::this_thread::yield();
        stop.request();
    });
    EXPECT_ERROR(cancelled, "", for (;; scored = true) scorer.score(text, stop));
    canceller.join();
}

TEST(Threads, CancelManyWindowsOfAnother) {
    const scorer scorer(query_key_package, {{"window", "8192"}});
    const std::vector<std::string> texts(500, random_text(8192, 1));
    const cancel stop;
    std::atomic<bool> started = false;
    std::thread canceller([&] {
        while (!started) std::this_thread::yield();
        stop.request();
    });
    const auto results = scorer.score_many(texts, stop, [&](std::uint64_t, std::uint64_t) { started = true; });
    canceller.join();
    std::size_t scored = 0, cancelled = 0;
    for (const result &result : results) {
        scored += result.has_value();
        cancelled += result.status() == status::cancelled;
    }
    EXPECT_EQ(scored + cancelled, texts.size());
    EXPECT_GT(scored, 0U);
    EXPECT_GT(cancelled, 0U);
}

TEST(Threads, MergeTheirSelectors) {
    const scorer scorer(query_key_package);
    const auto texts = random_texts(24);
    selector alone, merged;
    for (std::size_t index = 0; index < texts.size(); ++index) {
        alone.add(std::to_string(index), "texts", scorer.score(texts[index]));
    }
    std::mutex mutex;
    run_threads([&](std::size_t number) {
        selector mine;
        for (std::size_t index = number; index < texts.size(); index += thread_count) {
            mine.add(std::to_string(index), "texts", scorer.score(texts[index]));
        }
        const std::lock_guard<std::mutex> lock(mutex);
        merged.merge(mine);
    });
    const config settings = {{"mixed_lengths", "allow"}};
    const selection expected = alone.finish(settings), found = merged.finish(settings);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t index = 0; index < found.size(); ++index) {
        EXPECT_EQ(found[index].id, expected[index].id);
        EXPECT_EQ(found[index].long_distance_dependency_score, expected[index].long_distance_dependency_score);
    }
}
