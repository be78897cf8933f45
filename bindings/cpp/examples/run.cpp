// Does what `longattn run` does, with the same bytes as result.
//
//     run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...
//
// Inputs are files, folders, or - for standard input. Settings are those of docs/settings.md, such as --window 8192,
// --ratio 0.1 or --earlier-results resume. Ctrl-C ends the work, which goes on from there with the last of these.
//
// CMakeLists.txt beside this file builds it, and so does
//     c++ -std=c++17 -O2 run.cpp -o run $(pkg-config --cflags --libs longattn)

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <longattn.hpp>

namespace {

constexpr const char *usage = "usage: run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...";

const longattn::cancel &interrupt() {
    static const longattn::cancel stop;
    return stop;
}

struct options {
    std::string package;
    std::string directory;
    std::vector<std::filesystem::path> inputs;
    longattn::config settings;
};

options parse(const std::vector<std::string_view> &arguments) {
    options parsed;
    std::vector<std::string> names;
    for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
        if (argument->substr(0, 2) != "--") {
            names.emplace_back(*argument);
            continue;
        }
        std::string key(argument->substr(2));
        std::replace(key.begin(), key.end(), '-', '_');
        if (++argument == arguments.end()) throw std::invalid_argument(usage);
        parsed.settings.set(key, *argument);
    }
    if (names.size() < 3) throw std::invalid_argument(usage);
    parsed.package = names[0];
    parsed.directory = names[1];
    parsed.inputs.assign(names.begin() + 2, names.end());
    return parsed;
}

longattn::observer on_standard_error() {
    longattn::observer observer;
    observer.progress = [](const longattn::job_progress &progress) {
        const auto percent = progress.total.value_or(0) > 0 ? 100 * progress.done / *progress.total : 0;
        std::cerr << '\r' << percent << " %, " << progress.windows << " windows ";
    };
    observer.reject = [](const longattn::reject &reject) {
        std::cerr << "\nrejected: " << reject.file << ':' << reject.line << ": " << reject.reason << '\n';
    };
    observer.notice = [](std::string_view notice) { std::cerr << '\n' << notice << '\n'; };
    return observer;
}

void run(const options &options) {
    longattn::job job(longattn::scorer(options.package, options.settings), options.inputs, options.directory,
                      options.settings);
    const longattn::summary summary = job.run(on_standard_error(), interrupt());
    std::cerr << '\n';
    for (const longattn::job_category &category : job.categories()) {
        std::cout << category.name << ": " << category.selected << " of " << category.windows << " windows\n";
    }
    std::cout << summary.documents_windowed << " documents in windows, " << summary.documents_too_short
              << " too short, " << summary.records_rejected << " rejected; " << summary.tokens_selected
              << " tokens selected\n";
}

} // namespace

int main(int argument_count, char **arguments) try {
    interrupt(); // It is made before a signal can ask for it.
    std::signal(SIGINT, [](int) { interrupt().request(); });
    std::signal(SIGTERM, [](int) { interrupt().request(); });
    run(parse({arguments + 1, arguments + argument_count}));
    return EXIT_SUCCESS;
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return EXIT_FAILURE;
}
