# SPDX-License-Identifier: MIT
# A Rack application. In a worktree:
#
#   devmesh run -- puma                  # with a Gemfile: devmesh run -- bundle exec puma
#
# Puma listens on the Unix socket itself. Rails is started as it is, and given a port:
#
#   devmesh run -- bin/rails server
#
# Rails 7 and later read the host name from a variable that devmesh sets; before that,
# config/environments/development.rb needs: config.hosts << ENV["DEVMESH_HOST"]
run lambda { |env|
  text = "#{env['PATH_INFO']} over #{env['rack.url_scheme']} in #{Dir.pwd}\n"
  [200, { 'content-type' => 'text/plain; charset=utf-8' }, [text]]
}
