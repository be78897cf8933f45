// Scores documents from several threads with one scorer, and changes the model without stopping.
//
//     pipeline PACKAGE_FILE [DOCUMENTS.jsonl] [--threads N] [--SETTING VALUE]...
//
// PACKAGE_FILE holds the path of a scorer package. When that path changes, and on SIGHUP, the package is opened while
// the old one scores on, and takes its place for all documents that come after; a package that cannot be opened
// changes nothing.
//
// Each document is a line {"id": ..., "text": ...} of the file or of standard input. Its first window gives one line
// on standard output, in any order; why a document has no score is told on standard error. Ctrl-C reads no more and
// finishes what was read; a second one cancels that too. The exit status is 0 where all documents that were read are
// scored.
//
// JSON is read and written with nlohmann/json. CMakeLists.txt beside this file builds it all, and so does
//     c++ -std=c++17 -O2 pipeline.cpp -o pipeline $(pkg-config --cflags --libs longattn) -pthread

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <longattn.hpp>
#include <nlohmann/json.hpp>

namespace {

constexpr const char *usage = "usage: pipeline PACKAGE_FILE [DOCUMENTS.jsonl] [--threads N] [--SETTING VALUE]...";

struct options {
    std::string package_file;
    std::string documents;
    std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
    longattn::config settings;
};

std::size_t to_count(std::string_view text) {
    std::size_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc() || end != text.data() + text.size() || count == 0) throw std::invalid_argument(usage);
    return count;
}

options parse(const std::vector<std::string_view> &arguments) {
    options parsed;
    std::vector<std::string> names;
    for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
        if (argument->substr(0, 2) != "--") {
            names.emplace_back(*argument);
            continue;
        }
        const std::string_view key = argument->substr(2);
        if (++argument == arguments.end()) throw std::invalid_argument(usage);
        if (key == "threads") parsed.threads = to_count(*argument);
        else parsed.settings.set(key, *argument);
    }
    if (names.empty() || names.size() > 2) throw std::invalid_argument(usage);
    parsed.package_file = names.front();
    if (names.size() == 2) parsed.documents = names.back();
    return parsed;
}

/// A file descriptor that is closed in the end.
class descriptor {
public:
    explicit descriptor(int number) : number_(number) {
        if (number < 0) throw std::system_error(errno, std::generic_category(), "documents");
    }
    descriptor(descriptor &&other) noexcept : number_(std::exchange(other.number_, -1)) {}
    ~descriptor() { reset(); }

    int get() const noexcept { return number_; }

    void reset() noexcept {
        if (number_ >= 0) close(number_);
        number_ = -1;
    }

private:
    int number_;
};

std::pair<descriptor, descriptor> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    return {descriptor(ends[0]), descriptor(ends[1])};
}

/// Hands out the lines of a file to any threads, until the file ends or it is told to stop.
class line_reader {
public:
    explicit line_reader(int file) : file_(file), pipe_(make_pipe()) {}

    /// Gives the next line and its number, or false where there are no more.
    bool next(std::string &line, std::size_t &number) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stopped_) return false;
        std::size_t end = buffer_.find('\n', start_);
        while (end == std::string::npos && fill()) end = buffer_.find('\n', searched_);
        if (stopped_ || (end == std::string::npos && start_ == buffer_.size())) return false;
        // The last line may lack its end.
        line.assign(buffer_, start_, end == std::string::npos ? end : end - start_);
        start_ = end == std::string::npos ? buffer_.size() : end + 1;
        number = ++lines_;
        return true;
    }

    /// Throws if the file could not be read to its end.
    void check() const {
        if (failure_ != 0) throw std::system_error(failure_, std::generic_category(), "documents");
    }

    /// Ends the reading, also for a thread that waits for a line.
    void stop() {
        stopped_ = true;
        pipe_.second.reset();
    }

private:
    /// Reads more behind what is left of the buffer; false at the end of the file.
    bool fill() {
        buffer_.erase(0, start_);
        start_ = 0;
        searched_ = buffer_.size();
        pollfd waiting[] = {{file_, POLLIN, 0}, {pipe_.first.get(), 0, 0}};
        while (poll(waiting, 2, -1) < 0 && errno == EINTR) {
        }
        if (stopped_) return false;
        buffer_.resize(searched_ + chunk);
        const ssize_t count = read(file_, buffer_.data() + searched_, chunk);
        buffer_.resize(searched_ + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count < 0) failure_ = errno;
        return count > 0;
    }

    static constexpr std::size_t chunk = 1 << 16;

    int file_;
    std::pair<descriptor, descriptor> pipe_;
    std::atomic<bool> stopped_ = false;
    std::mutex mutex_;
    std::string buffer_;
    std::size_t start_ = 0;
    std::size_t searched_ = 0;
    std::size_t lines_ = 0;
    int failure_ = 0;
};

struct package {
    std::string path;
    longattn::scorer scorer;
};

/// The package that scores now. Threads take it for one document at a time, so a change never waits for them, nor they
/// for it; the old one is freed when the last document that it scores is done.
class current_package {
public:
    current_package(std::string file, longattn::config settings)
        : file_(std::move(file)), settings_(std::move(settings)), package_(open(path_in_file())) {}

    std::shared_ptr<const package> get() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return package_;
    }

    /// Opens the package that the file names, if that is another one or `always`; one that fails is tried once.
    void reload(bool always) {
        std::string path = path_in_file();
        if (!always && (path == tried_ || path.empty())) return;
        try {
            auto next = open(std::move(path));
            const std::lock_guard<std::mutex> lock(mutex_);
            package_.swap(next);
            std::cerr << "now scoring with " + package_->path + '\n';
        } catch (const std::exception &failure) {
            std::cerr << "still scoring with " + get()->path + ": " + failure.what() + '\n';
        }
    }

private:
    std::string path_in_file() const {
        std::ifstream file(file_);
        std::string path;
        std::getline(file, path);
        return path;
    }

    std::shared_ptr<const package> open(std::string path) {
        tried_ = path;
        if (path.empty()) throw std::runtime_error(file_ + " names no scorer package");
        longattn::scorer scorer(path, settings_);
        return std::make_shared<const package>(package{std::move(path), std::move(scorer)});
    }

    std::string file_;
    longattn::config settings_;
    std::string tried_;
    mutable std::mutex mutex_;
    std::shared_ptr<const package> package_;
};

class pipeline {
public:
    pipeline(current_package &package, line_reader &lines) : package_(package), lines_(lines) {}

    /// Scores documents until there are no more. Any number of threads may run it.
    void run() {
        std::string line;
        for (std::size_t number = 0; lines_.next(line, number);) {
            if (line.empty()) continue;
            ++read_;
            try {
                write(score(line, number));
                ++scored_;
            } catch (const std::exception &failure) {
                ++failed_;
                std::cerr << "line " + std::to_string(number) + ": " + failure.what() + '\n';
            }
        }
    }

    /// The first time reads no more, the second time gives up what was read.
    void stop() {
        if (stopping_.exchange(true)) cancel_.request();
        lines_.stop();
    }

    /// Says what became of the documents, and whether all were scored.
    bool report() const {
        std::cerr << "read " << read_ << " = scored " << scored_ << " + failed " << failed_ << '\n';
        return failed_ == 0 && read_ == scored_;
    }

private:
    std::string score(const std::string &line, std::size_t number) const {
        const auto document = nlohmann::json::parse(line);
        const auto &text = document.at("text").get_ref<const std::string &>();
        const auto package = package_.get();
        const longattn::score score = package->scorer.score(text, cancel_);
        const nlohmann::ordered_json scored = {{"id", document.value("id", nlohmann::json(number))},
                                               {"DS", score.dependency_strength},
                                               {"DU", score.distribution_uniformity},
                                               {"package", package->path}};
        return scored.dump() + '\n';
    }

    void write(const std::string &line) {
        const std::lock_guard<std::mutex> lock(output_);
        if (!(std::cout << line << std::flush)) throw std::runtime_error("standard output takes no more");
    }

    current_package &package_;
    line_reader &lines_;
    longattn::cancel cancel_;
    std::mutex output_;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::size_t> read_ = 0;
    std::atomic<std::size_t> scored_ = 0;
    std::atomic<std::size_t> failed_ = 0;
};

/// The signals that watch() waits for. Blocked in the first thread before others start, they are so in all.
sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, number);
    return signals;
}

/// Acts on signals and on a changed package file, as long as threads run.
void watch(pipeline &work, current_package &package, const std::atomic<std::size_t> &running) {
    const sigset_t signals = watched_signals();
    const timespec pause{0, 100'000'000};
    while (running > 0) {
        const int signal = sigtimedwait(&signals, nullptr, &pause);
        if (signal == SIGINT || signal == SIGTERM) work.stop();
        else package.reload(signal == SIGHUP);
    }
}

bool run(const options &options) {
    const sigset_t signals = watched_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);

    const descriptor file(options.documents.empty() ? dup(STDIN_FILENO) : open(options.documents.c_str(), O_RDONLY));
    line_reader lines(file.get());
    current_package package(options.package_file, options.settings);
    pipeline work(package, lines);

    std::atomic<std::size_t> running = options.threads;
    std::vector<std::thread> threads;
    while (threads.size() < options.threads) {
        threads.emplace_back([&] {
            work.run();
            --running;
        });
    }
    watch(work, package, running);
    for (std::thread &thread : threads) thread.join();
    const bool all_scored = work.report();
    lines.check();
    return all_scored;
}

} // namespace

int main(int argument_count, char **arguments) try {
    return run(parse({arguments + 1, arguments + argument_count})) ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return EXIT_FAILURE;
}
