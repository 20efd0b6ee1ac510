namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant to be created once all is decided: id, schema, database.</summary>
/// <param name="Tenant">What was asked for, with id and connection.</param>
/// <param name="Schema">The schema that it gets.</param>
/// <param name="Source">The database that it goes to.</param>
/// <param name="Copy">What the schema is copied from; null: from nothing.</param>
internal sealed record TenantOrder(NewTenant Tenant, SchemaName Schema, PooledDataSource Source, SchemaCopy? Copy)
{
    public string Slug => Tenant.Slug;

    public DatabaseConnection Database => Source.Row;

    /// <summary>The tenant as it is going to be.</summary>
    public Tenant ToBe { get; } =
        new()
        {
            Id = Tenant.Id!.Value,
            Slug = Tenant.Slug,
            Name = Tenant.Name,
            Schema = Schema,
            ConnectionName = Source.Row.Name,
            Status = TenantStatus.Provisioning,
            RegionId = Tenant.RegionId ?? Source.Row.RegionId,
            TenantType = Tenant.TenantType,
        };
}
