namespace NeoCommons.EfCore;

/// <summary>Whom the model is for that the current thread builds: a tenant that is read meanwhile gets into it.</summary>
/// <remarks>
/// EF builds a model on one thread from beginning to end, so a mark on the thread reaches everything that
/// <c>OnModelCreating</c> and conventions call, and nothing else.
/// </remarks>
internal sealed class ModelBuilding
{
    [ThreadStatic]
    private static ModelBuilding? _current;

    private static readonly ModelBuilding Shared = new();

    private Tenant? _tenant;

    private ModelBuilding() { }

    /// <summary>Until disposal, this thread builds a model for all tenants.</summary>
    public static Scope ForAll() => new(Shared);

    /// <summary>Until disposal, this thread builds a model for one tenant, or that of a context without one.</summary>
    public static Scope For(Tenant? tenant) => new(new ModelBuilding { _tenant = tenant });

    /// <summary>Hands out a tenant that was asked for, unless it would get into the wrong model.</summary>
    /// <exception cref="InvalidOperationException">A model is being built that is not this tenant's.</exception>
    public static Tenant? Read(Tenant? tenant)
    {
        if (_current is not { } model)
        {
            return tenant;
        }

        if (ReferenceEquals(model, Shared))
        {
            throw new InvalidOperationException(
                "The tenant was asked for while a model is built that all tenants share, by OnModelCreating, a convention or "
                    + "something that runs within: it would be made for the first tenant and serve every other. Where the model "
                    + "must differ by tenant, add ModelPerSchema() to the options of the context."
            );
        }

        // The same tenant may be known in an older form, and the model is made of one.
        return model._tenant?.Id == tenant?.Id
            ? model._tenant
            : throw new InvalidOperationException(
                $"The model of {Describe(model._tenant)} is being built, and {Describe(tenant)} was asked for. Take the tenant "
                    + "from Database.FindTenant() in OnModelCreating: an ITenantContext knows that of its DI scope, and contexts of "
                    + "ITenantDbContextFactory have none."
            );
    }

    private static string Describe(Tenant? tenant) => tenant is null ? "no tenant" : $"tenant '{tenant.Slug}'";

    /// <summary>The time that the building takes; a model may be needed to build another.</summary>
    public readonly ref struct Scope
    {
        private readonly ModelBuilding? _outer;

        public Scope(ModelBuilding building)
        {
            _outer = _current;
            _current = building;
        }

        public void Dispose() => _current = _outer;
    }
}
