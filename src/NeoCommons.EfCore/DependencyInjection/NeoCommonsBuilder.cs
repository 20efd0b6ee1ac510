using Microsoft.Extensions.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the parts of NeoCommons to a service collection; made by <c>AddNeoCommons</c>.</summary>
public sealed class NeoCommonsBuilder
{
    internal NeoCommonsBuilder(IServiceCollection services, IConfiguration configuration)
    {
        Services = services;
        Configuration = configuration;
    }

    /// <summary>The services that are added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>The configuration that the parts read.</summary>
    public IConfiguration Configuration { get; }
}
