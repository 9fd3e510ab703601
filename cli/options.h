#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace isochrone::cli {

/// What a verb takes, declared before the command line is read. The references must outlive the run.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void Positional(std::string& into, const std::string& name, const std::string& help, bool required = true);
  void Positionals(std::vector<std::string>& into, const std::string& name, const std::string& help,
                   bool required = true);
  void Text(std::string& into, const std::string& flag, const std::string& help);
  void Texts(std::vector<std::string>& into, const std::string& flag, const std::string& help);
  void Choice(std::size_t& into, const std::string& flag, const std::vector<std::string>& names,
              const std::string& help);
  void Flag(bool& into, const std::string& flag, const std::string& help);
  void Whole(int& into, const std::string& flag, int least, int most, const std::string& help);
  void Number(double& into, const std::string& flag, double least, double most, const std::string& help);

 private:
  CLI::App& app_;
};

}  // namespace isochrone::cli
