using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Shows the application's own name in <c>pg_stat_activity</c> where none is configured.</summary>
internal sealed class ApplicationNameDefault(IHostEnvironment? host = null) : IPostConfigureOptions<ConnectionOptions>
{
    public void PostConfigure(string? name, ConnectionOptions options) =>
        options.ApplicationName ??= host?.ApplicationName;
}
