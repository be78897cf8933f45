// The whole job on a corpus.

#include "support.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace longattn;

namespace {

// A directory of its own for each test.
class Job : public testing::Test {
protected:
    Job() {
        std::string name = (std::filesystem::temp_directory_path() / "longattn-job-XXXXXX").string();
        folder = mkdtemp(name.data());
    }

    ~Job() override { std::filesystem::remove_all(folder); }

    // Documents of 120 tokens, which are three windows each, and two records that cannot be used.
    std::filesystem::path corpus(std::uint32_t documents, const std::string &name = "corpus.jsonl") const {
        std::ofstream file(folder / name);
        for (std::uint32_t number = 0; number < documents; ++number) {
            file << R"({"id": "d)" << number << R"(", "text": ")" << random_text(120, number) << "\"}\n";
        }
        file << "no object\n{\"id\": \"empty\"}\n";
        return folder / name;
    }

    std::string text_of(const char *name, const char *results = "result") const {
        std::ifstream file(folder / results / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    job open(std::uint32_t documents, const char *earlier_results = "refuse") const {
        return {by, {corpus(documents)}, folder / "result", {{"window", "50"}, {"earlier_results", earlier_results}}};
    }

    // Scores one of two shards, and gives where.
    std::filesystem::path shard(int number) const {
        const std::filesystem::path results = folder / ("shard-" + std::to_string(number));
        const std::string share = std::to_string(number) + "/2";
        job work(by, {corpus(12)}, results, {{"window", "50"}, {"category", "books"}, {"shard", share}});
        EXPECT_EQ(work.run().windows_selected, 0U);
        return results;
    }

    // Documents of words that the tokenizer of the package with several layers knows.
    std::filesystem::path words(std::uint32_t documents) const {
        std::ofstream file(folder / "words.jsonl");
        std::uint32_t seed = 1;
        for (std::uint32_t number = 0; number < documents; ++number) {
            file << R"({"text": ")";
            for (int word = 0; word < 300; ++word) {
                seed = seed * 1664525 + 1013904223;
                file << 'w' << (seed >> 16) % 40 << ' ';
            }
            file << "\"}\n";
        }
        file << "no object\n";
        return folder / "words.jsonl";
    }

    std::filesystem::path folder;
    scorer by{query_key_package, {{"window", "50"}}};
};

} // namespace

TEST_F(Job, WritesScoresAndSelection) {
    job work = open(12);
    EXPECT_EQ(work.summary().windows, 0U);
    EXPECT_TRUE(work.categories().empty());
    std::vector<std::string> rejects;
    std::size_t told = 0;
    observer watched;
    watched.reject = [&](const reject &reject) {
        rejects.push_back(std::string(reject.id) + ' ' + std::to_string(reject.line) + ' ' + std::string(reject.record));
    };
    watched.progress = [&](const job_progress &progress) {
        ++told;
        EXPECT_LE(progress.done, progress.total.value_or(progress.done));
    };
    const summary found = work.run(watched);
    EXPECT_EQ(found.windows, 36U);
    EXPECT_EQ(found.windows_selected, 9U);
    EXPECT_EQ(found.records_rejected, 2U);
    EXPECT_EQ(rejects, (std::vector<std::string>{" 13 no object", "empty 14 {\"id\": \"empty\"}"}));
    EXPECT_GT(told, 0U);
    EXPECT_EQ(work.summary().windows_selected, 9U);
    ASSERT_EQ(work.categories().size(), 1U);
    EXPECT_EQ(work.categories()[0].name, "corpus");
    EXPECT_EQ(work.categories()[0].windows, 36U);
    EXPECT_EQ(work.categories()[0].selected, 9U);
    const std::string selected = text_of("selected.jsonl");
    EXPECT_EQ(std::count(selected.begin(), selected.end(), '\n'), 9);
}

TEST_F(Job, SelectsAgainWithoutScoring) {
    job work = open(12);
    const summary scored = work.score();
    EXPECT_EQ(scored.windows_selected, 0U);
    const summary selected = work.select({{"count", "4"}});
    EXPECT_EQ(selected.windows_selected, 4U);
    EXPECT_EQ(selected.tokens_scored, scored.tokens_scored);
    EXPECT_ERROR(invalid_setting, "only one of", work.select({{"count", "4"}, {"ratio", "0.5"}}));
}

TEST_F(Job, GoesOnWhereItWasCancelled) {
    const cancel stop;
    observer watched;
    watched.progress = [&](const job_progress &progress) {
        if (progress.windows > 3000) stop.request();
    };
    {
        job work = open(4000);
        EXPECT_ERROR(cancelled, "cancelled", work.run(watched, stop));
    }
    EXPECT_ERROR(invalid_argument, "has results already", open(4000));
    job work = open(4000, "resume");
    const summary found = work.run();
    EXPECT_EQ(found.windows, 12000U);
    EXPECT_GT(found.windows_known, 0U);
    EXPECT_LT(found.windows_known, 12000U);
    EXPECT_GE(found.tokens_scored, (12000 - found.windows_known) * 50);
}

TEST_F(Job, EndsWithinASecondOfItsDeadline) {
    // One window, which takes far longer than the test waits.
    const std::size_t length = 1 << 18;
    std::ofstream(folder / "long.txt") << random_text(length, 1);
    job work(scorer(query_key_package, {{"window", std::to_string(length)}}), {folder / "long.txt"}, folder / "result");
    const cancel stop;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    stop.set_deadline(std::chrono::milliseconds(300));
    EXPECT_ERROR(cancelled, "", work.run({}, stop));
    EXPECT_GE(std::chrono::steady_clock::now(), deadline);
    EXPECT_LT(std::chrono::steady_clock::now(), deadline + std::chrono::seconds(1));
}

TEST_F(Job, ThrowsWhatItsObserverThrows) {
    struct told {};
    job work = open(4000);
    observer watched;
    watched.reject = [](const reject &) { throw told(); };
    EXPECT_THROW(work.run(watched), told);
    const cancel stop;
    watched.reject = nullptr;
    watched.progress = [](const job_progress &) { throw told(); };
    EXPECT_THROW(work.run(watched, stop), told);
    EXPECT_EQ(work.run().windows, 12000U);
}

TEST_F(Job, OwnsItsDirectory) {
    job first = open(12);
    EXPECT_ERROR(io, "at work in", open(12, "overwrite"));
    job moved = std::move(first);
    EXPECT_EQ(moved.run().windows, 36U);
    EXPECT_ERROR(invalid_argument, "job is NULL", first.run());
    EXPECT_ERROR(io, "at work in", open(12, "overwrite"));
    moved = job(by, {corpus(12)}, folder / "other");
    EXPECT_EQ(open(12, "overwrite").run().windows, 36U);
}

TEST_F(Job, OutlivesItsScorer) {
    job work = [&] {
        const scorer gone(query_key_package, {{"window", "60"}});
        return job(gone, {corpus(12)}, folder / "result");
    }();
    EXPECT_EQ(work.run().windows, 24U);
}

TEST_F(Job, TakesNamesThatAreNoText) {
    const std::string name = "b\xfc" "cher.jsonl";
    job work(by, {corpus(2, name)}, folder / "re\xfcsult");
    EXPECT_EQ(work.run().windows, 6U);
    EXPECT_EQ(work.categories().at(0).name, "b\\xFCcher");
}

TEST_F(Job, RefusesWhatCannotBeRead) {
    EXPECT_ERROR(io, "/no/such/file", job(by, {"/no/such/file"}, folder / "result"));
    EXPECT_ERROR(invalid_argument, "no input", job(by, {}, folder / "result"));
    EXPECT_FALSE(std::filesystem::exists(folder / "result"));
}

TEST_F(Job, IsSelectedFromTheResultsOfItsShards) {
    job(by, {corpus(12)}, folder / "result", {{"window", "50"}, {"category", "books"}, {"ratio", "0.5"}}).run();
    const std::vector<std::filesystem::path> shards = {shard(2), shard(1)};
    const summary found = select_results(shards, folder / "merged", {{"ratio", "0.5"}});
    EXPECT_EQ(found.windows, 36U);
    EXPECT_EQ(found.windows_selected, 18U);
    for (const char *name : {"selected.jsonl", "scores.jsonl", "rejects.jsonl"}) {
        EXPECT_EQ(text_of(name, "merged"), text_of(name)) << name;
    }
    EXPECT_EQ(select_results({folder / "result"}, folder / "merged").windows_selected, 9U);
    EXPECT_ERROR(invalid_argument, "shard 2/2 is missing", select_results({shards[1]}, folder / "other"));
    EXPECT_ERROR(invalid_argument, "has results already", select_results(shards, folder / "result"));
    const cancel stop;
    stop.request();
    EXPECT_ERROR(cancelled, "", select_results(shards, folder / "merged", {}, {}, stop));
    struct told {};
    observer watched;
    watched.progress = [](const job_progress &) { throw told(); };
    EXPECT_THROW(select_results(shards, folder / "merged", {}, watched), told);
}

TEST_F(Job, IsPrecededByACalibrationThatNamesALayer) {
    const scorer layers(deep_package, {{"window", "64"}});
    const config settings = {{"window", "64"}, {"calibration_windows", "20"}};
    std::size_t rejects = 0;
    observer watched;
    watched.reject = [&](const reject &) { ++rejects; };
    calibration work(layers, {words(40)}, folder / "result", settings);
    EXPECT_ERROR(io, "at work in", calibration(layers, {words(40)}, folder / "result", settings));
    const std::string found = work.run(watched);
    EXPECT_NE(found.find("\"verdict\""), std::string::npos);
    EXPECT_EQ(text_of("calibration.json").substr(0, found.size()), found);
    EXPECT_EQ(rejects, 1U);
    const cancel stop;
    stop.request();
    EXPECT_ERROR(cancelled, "", work.run({}, stop));
    struct told {};
    watched.reject = [](const reject &) { throw told(); };
    EXPECT_THROW(work.run(watched), told);
    EXPECT_ERROR(unsupported, "", calibration(by, {corpus(2)}, folder / "other", {{"truth", "gain"}}));
}

TEST(Doubt, IsThereWhereErrorsCanChangeTheSelection) {
    selector selector;
    std::vector<score> scores;
    for (const double strength : {0.1, 0.3, 0.29}) {
        score made{};
        made.token_count = 100;
        made.dependency_strength = strength;
        made.dependency_strength_error = strength < 0.2 ? 0.001 : 0.01;
        selector.add(std::string(1, static_cast<char>('a' + scores.size())), "books", made);
        scores.push_back(made);
    }
    const config settings = {{"count", "1"}};
    EXPECT_EQ(selector.in_doubt(scores, settings), (std::vector<std::size_t>{1}));
    for (score &score : scores) score.dependency_strength_error = 0;
    scores[2].dependency_strength = 0.4;
    selector.rescore(2, scores[2]);
    EXPECT_TRUE(selector.in_doubt(scores, settings).empty());
    EXPECT_EQ(selector.finish(settings)[0].dependency_strength, 0.4);
    EXPECT_ERROR(invalid_argument, "no window 3", selector.rescore(3, scores[0]));
    scores.pop_back();
    EXPECT_ERROR(invalid_argument, "scores", selector.in_doubt(scores));
}
